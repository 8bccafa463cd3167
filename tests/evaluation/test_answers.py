"""Answers are found where they stand, judged by value, and never run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from balora.evaluation.answers import (
    AnswerJudge,
    answer_after_phrase,
    boxed_answer,
    judge_number,
    mathematical_answer,
    number_in,
)
from tests.support.real import real_path


@pytest.fixture(scope="module")
def judge() -> Iterator[AnswerJudge]:
    with AnswerJudge() as found:
        yield found


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 + 2 = 4. The answer is: 4.", "4"),
        ("The answer is 3. No, the answer is: 5\nand more", "5"),
        ("THE FINAL ANSWER IS $\\frac{1}{2}$.", "$\\frac{1}{2}$"),
        ("it is 4", None),
        ("The answer is:", None),
    ],
)
def test_the_paper_s_phrase(text: str, answer: str | None) -> None:
    assert answer_after_phrase(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} or \boxed{\sqrt{2}}", r"\sqrt{2}"),
        (r"\boxed{1", None),
        (r"\boxed{}", None),
        ("none", None),
        (r"\boxed{" + "{" * 5000, None),
    ],
)
def test_boxes(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


def test_the_box_comes_before_the_phrase() -> None:
    assert mathematical_answer(r"The answer is: 3. \boxed{4}") == "4"
    assert mathematical_answer("The answer is: 3.") == "3"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234", "1234"),
        ("$ 12.50", "12.50"),
        ("-7 degrees", "-7"),
        (".5", ".5"),
        ("about 3, or 4", "3"),
        ("none", None),
        ("", None),
        ("9" * 100_000, "9" * 500),
    ],
)
def test_numbers(text: str, number: str | None) -> None:
    assert number_in(text) == (None if number is None else Decimal(number))


def test_numbers_are_compared_by_value() -> None:
    assert judge_number("18.00", "18").equal
    assert judge_number("$1,000 a day", "1000").equal
    assert not judge_number("180", "18").equal
    assert judge_number(None, "18").how == "no answer"
    assert judge_number("eighteen", "18") == judge_number("many", "18")
    assert not judge_number("many", "18").equal


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("0.5", r"\frac{1}{2}", True),
        (r"\dfrac12", r"\frac{1}{2}", True),
        (r"$\frac{2}{4}$", r"\frac{1}{2}", True),
        ("1+x^2", "x^2+1", True),
        (r"(3, \pi/2)", r"\left( 3, \frac{\pi}{2} \right)", True),
        ("18.0", "18", True),
        ("x^2-1", "x^2+1", False),
        ("1+x^2", "1", False),
        ("", "1", False),
        ("nothing to see", "1", False),
    ],
)
def test_mathematics_is_compared_by_value(judge: AnswerJudge, answer: str, gold: str, equal: bool) -> None:
    assert judge.judge(answer, gold).equal is equal


HOSTILE = [
    "__import__('os').system('touch {canary}')",
    "eval(open('{canary}','w'))",
    r"\text{__import__('os').system('touch {canary}')}",
    "$__import__('pathlib').Path('{canary}').touch()$",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda: open('{canary}','w')",
    "9**9**9**9",
    "9^{9^{9^{9^9}}}",
    "(((10^10)^10)^10)^10",
    r"\int_0^1 x^{x^{x^{x}}} dx",
    r"\sum_{n=1}^{10^{12}} \frac{1}{n^{n}}",
    r"\sqrt" * 90,
    "(" * 400,
    r"\frac{" * 80,
    "1000000!!!!",
    "\x00\x01",
    "1/0",
    "{" * 499,
]


def test_hostile_answers_run_nothing_and_end_soon(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with AnswerJudge(hard_limit_s=2) as judge:
        for text in HOSTILE:
            began = time.monotonic()
            verdict = judge.judge(text.replace("{canary}", str(canary)), "7")
            assert not verdict.equal, text
            took_s = time.monotonic() - began
            assert took_s < 5 or verdict.how == "took too long", text
        judge.hard_limit_s = 30
        assert judge.judge(r"\frac{14}{2}", "7").equal  # and it still works
    assert not canary.exists()


def test_what_is_far_too_long_is_no_answer(judge: AnswerJudge) -> None:
    assert judge.judge("0" * 600 + "7", "7").how == "not readable"


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    with AnswerJudge(hard_limit_s=0) as judge:
        assert judge.judge(r"\frac{14}{2}", "7").how == "took too long"


@pytest.mark.real
def test_every_reference_answer_of_math_500_equals_itself(judge: AnswerJudge) -> None:
    rows = [json.loads(line) for line in real_path("data/math500/test_ori.jsonl").read_text().splitlines()]
    wrong = [row["answer"] for row in rows if not judge.judge(boxed_answer(row["solution"]), row["answer"]).equal]
    assert len(rows) == 500
    assert wrong == []
