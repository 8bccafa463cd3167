"""R15: the sandbox changes no verdict: the sets' own solutions, three times, once on a machine that has no time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from _pytest.outcomes import Skipped

from balora.errors import InputError
from balora.evaluation.sandbox import Candidate, method, run_many
from tests.evaluation.sandbox.test_reference_solutions import SETS, Item, solved
from tests.faults.figures import Figures, measure
from tests.faults.selections import source

PROMISE = "reference solutions of HumanEval and sanitized MBPP: the verdict of plain Python, 3 times, once under load"
INSIDE = "balora/evaluation/sandbox/inside"
LOAD = 4
"""Busy processes for each core in the last round."""
ROUNDS = ("first", "second", "under load")


def row(folder: Path, count: int) -> Figures:
    """`count` solutions at most, evenly from both sets."""
    folder.mkdir(parents=True)
    began = time.monotonic()
    try:
        every = [item for name in ("humaneval", "sanitized") for item in SETS[name][0]()]
    except Skipped as skipped:
        missing = str(skipped)
        return measure("R15", PROMISE, [("data", lambda: f"not run: {missing}")])
    items = every[:: max(1, len(every) // count)]
    candidates = [solved(item) for item in items]
    outside = [passes_outside(candidate, folder) for candidate in candidates]
    rounds = {}
    for name in ROUNDS:
        loaded = busy(LOAD * (os.cpu_count() or 1)) if name == ROUNDS[-1] else contextlib.nullcontext()
        rounds[name] = [False] * len(candidates)
        with loaded, mock.patch.object(method, "INSIDE", source() / INSIDE), contextlib.suppress(InputError):
            # The error says that no sandbox works here.
            rounds[name] = [verdict.passed for verdict in run_many(candidates, workers=2)]

    def case(number: int) -> str | None:
        other = [name for name in ROUNDS if rounds[name][number] != outside[number]]
        return f"another verdict than plain Python's in {', '.join(other)}" if other else None

    figures = measure("R15", PROMISE, ((name_of(item), partial(case, n)) for n, item in enumerate(items)))
    figures.seconds = round(time.monotonic() - began, 1)
    figures.facts |= {"passed_outside": sum(outside), "busy_processes": LOAD * (os.cpu_count() or 1)}
    return figures


def name_of(item: Item) -> str:
    return str(item["task_id"])


def passes_outside(candidate: Candidate, folder: Path) -> bool:
    """What Python says of program and tests in one file, with no wall around it."""
    path = folder / "whole.py"
    path.write_text("\n".join([candidate.helpers, candidate.program, candidate.tests]))
    ended = subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, timeout=60, check=False)
    return ended.returncode == 0


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep every core busy several times over."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
