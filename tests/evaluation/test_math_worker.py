"""The process that compares answers: one reply per line, whatever the line asks."""

from __future__ import annotations

import json
import subprocess
import sys

from balora.evaluation import math_worker


def test_it_replies_line_by_line_and_imports_nothing_of_balora() -> None:
    asked = [{"gold": "2", "answer": "\\frac{4}{2}"}, {"gold": "2", "answer": "3"}, {"gold": "2", "answer": "\\frac{"}]
    done = subprocess.run(
        [sys.executable, "-I", math_worker.__file__],
        input="".join(json.dumps(each) + "\n" for each in asked),
        capture_output=True,
        text=True,
        check=True,
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    assert [reply["equal"] for reply in replies] == [True, False, False]
    assert "balora" not in done.stderr


def test_comparing_reads_latex_and_plain_text() -> None:
    assert math_worker.compare("\\frac{1}{2}", "0.5") == {"equal": True, "parsed": True}
    assert math_worker.compare("3", "$3$")["equal"]
