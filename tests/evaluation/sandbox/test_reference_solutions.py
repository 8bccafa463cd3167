"""The sets' own solutions pass, and wrong ones do not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence

import pytest

from balora.evaluation.sandbox import Candidate, humaneval_candidate, mbpp_candidate, run_many
from tests.support.real import real_path

pytestmark = pytest.mark.real

Item = Mapping[str, object]


def humaneval() -> list[Item]:
    return [json.loads(line) for line in gzip.open(real_path("data/humaneval/HumanEval.jsonl.gz"), "rt")]


def mbpp() -> list[Item]:
    return [json.loads(line) for line in real_path("data/mbpp/mbpp.jsonl").read_text().splitlines()]


def sanitized() -> list[Item]:
    return json.loads(real_path("data/mbpp/sanitized-mbpp.json").read_text())


def solved(item: Item) -> Candidate:
    if "entry_point" in item:
        return humaneval_candidate(item, item["canonical_solution"])
    return mbpp_candidate(item, item["code"], challenge=True)


def answering(body: str) -> Callable[[Item], Candidate]:
    def candidate(item: Item) -> Candidate:
        names = solved(item).names
        program = "".join(f"\ndef {name}(*values, **named):\n    {body}\n" for name in names)
        return humaneval_candidate(item, program) if "entry_point" in item else mbpp_candidate(item, program)

    return candidate


WRONG = {
    "a text": answering("return 'wrong'"),
    "None": answering("return None"),
    "an object equal to all": answering("return type('Same', (), {'__eq__': lambda a, b: True})()"),
    "an early exit": answering("import os; os._exit(0)"),
}
SETS = {"humaneval": (humaneval, 164), "mbpp": (mbpp, 974), "sanitized": (sanitized, 427)}


def every(items: Sequence[Item], count: int) -> list[Item]:
    return list(items)[:: max(1, len(items) // count)]


def failures(items: Sequence[Item], make: Callable[[Item], Candidate], *, passing: bool) -> list[object]:
    verdicts = run_many([make(item) for item in items], workers=2)
    assert not [verdict for verdict in verdicts if verdict.reason == "refused"]
    return [
        (item["task_id"], verdict.reason, verdict.detail)
        for item, verdict in zip(items, verdicts, strict=True)
        if verdict.passed != passing
    ]


@pytest.mark.parametrize("name", SETS)
def test_a_sample_of_reference_solutions_passes_and_wrong_ones_do_not(name: str) -> None:
    items = every(SETS[name][0](), 25)
    assert failures(items, solved, passing=True) == []
    assert failures(items[::3], WRONG["a text"], passing=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_every_reference_solution_passes(name: str) -> None:
    read, count = SETS[name]
    assert len(read()) == count
    assert failures(read(), solved, passing=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("answer", WRONG)
@pytest.mark.parametrize("name", SETS)
def test_no_wrong_solution_passes(name: str, answer: str) -> None:
    assert failures(SETS[name][0](), WRONG[answer], passing=False) == []
