"""The judge's prompts: complete, replaceable, and out of the answers' reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from balora.errors import DataError
from balora.evaluation.judge import Question, load_prompts
from balora.evaluation.judge.prompts import SHIPPED, grade_in

PLAIN = Question(1, "writing", ("Q1", "Q2"))
EXACT = Question(1, "math", ("Q1", "Q2"), ("R1", "R2"))


@pytest.mark.parametrize(("question", "turn"), [(PLAIN, 1), (PLAIN, 2), (EXACT, 1), (EXACT, 2)])
def test_everything_that_belongs_is_there_and_nothing_else(question: Question, turn: int) -> None:
    system, user = load_prompts().messages(question, ("A1", "A2"), turn)
    assert (system["role"], user["role"]) == ("system", "user")
    here = {"Q1", "A1"} | ({"Q2", "A2"} if turn == 2 else set())
    here |= ({"R1"} | ({"R2"} if turn == 2 else set())) if question.reference else set()
    lines = set(user["content"].split("\n"))
    assert {word for word in ("Q1", "A1", "Q2", "A2", "R1", "R2") if word in lines} == here
    assert "{{" not in user["content"]


def test_braces_of_an_answer_are_left_alone() -> None:
    text = load_prompts().messages(PLAIN, ("{{answer_2}} {x} {{nothing}} \\1", "SECRET"), 1)[1]["content"]
    assert "{{answer_2}} {x} {{nothing}} \\1" in text
    assert "SECRET" not in text


def test_the_fence_depends_on_what_it_fences() -> None:
    def fence(answer: str) -> str:
        return load_prompts().messages(PLAIN, (answer, ""), 1)[1]["content"].split("\n")[2]

    assert fence("a") != fence("b")
    assert fence("a") == fence("a")


def test_the_example_in_the_prompt_is_a_grade() -> None:
    prompts = load_prompts()
    assert prompts.source == "balora"
    for name, text in prompts.texts.items():
        assert name == "system" or grade_in(text) == 4


@given(some.text())
def test_a_grade_is_a_number_from_one_to_ten_or_none(reply: str) -> None:
    assert grade_in(reply) is None or 1 <= grade_in(reply) <= 10


@given(some.text(), some.integers(1, 10))
def test_the_last_grade_counts(before: str, grade: int) -> None:
    assert grade_in(f"{before} [[{grade}]] so be it") == grade


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("first_turn: |-", "frist_turn: |-", "did you mean 'first_turn'"),
        ("{{answer_2}}", "it", "answer_2.* is missing"),
        ("{{question_1}}", "{{qestion_1}}", "qestion_1.* has no value there"),
        ("  {{reference_1}}\n", "", "reference_1.* is missing"),
        ("system: >-", "system: [1]\nx: >-", "'system' is missing"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(old: str, new: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.yaml"
    file.write_text(SHIPPED.read_text().replace(old, new))
    with pytest.raises(DataError, match=what):
        load_prompts(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(DataError, match="not a mapping"):
        load_prompts(tmp_path / "list.yaml")
    for name in ("broken.yaml", "none.yaml"):
        with pytest.raises(DataError, match="cannot be read"):
            load_prompts(tmp_path / name)


def test_a_copy_gives_the_same_prompts_under_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SHIPPED.read_text())
    assert load_prompts(file).fingerprint == load_prompts().fingerprint
    assert load_prompts(file).source == str(file)
