"""Questions and references as MT-Bench's files hold them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from balora.errors import DataError
from balora.evaluation.judge import read_questions
from tests.support.real import real_path


@pytest.mark.real
def test_the_real_questions() -> None:
    file = real_path("data/mt_bench/question.jsonl")
    questions = read_questions(file, real_path("data/mt_bench/reference_answer/gpt-4.jsonl"))
    assert len(questions) == 80
    assert set(Counter(question.category for question in questions).values()) == {10}
    referenced = {question.category for question in questions if question.reference}
    assert referenced == {"math", "reasoning", "coding"}
    assert sum(question.reference is not None for question in questions) == 30


def rows(path: Path, *documents: object) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def test_a_reference_may_stand_in_the_questions_own_row(tmp_path: Path) -> None:
    row = {"question_id": 1, "category": "math", "turns": ["a", "b"]}
    file = rows(tmp_path / "q.jsonl", row | {"reference": ["1", "2"]})
    assert read_questions(file)[0].reference == ("1", "2")
    plain = rows(tmp_path / "p.jsonl", row | {"category": "writing", "reference": ["1", "2"]})
    assert read_questions(plain)[0].reference is None
    with pytest.raises(DataError, match="question 1 of category math has no reference"):
        read_questions(rows(tmp_path / "r.jsonl", row))


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"question_id": "1", "category": "x", "turns": ["a", "b"]},
        {"question_id": 1, "category": None, "turns": ["a", "b"]},
        {"question_id": 1, "category": "x", "turns": ["a"]},
        {"question_id": 1, "category": "x", "turns": ["a", 2]},
        {"question_id": 1, "category": "x", "turns": "ab"},
    ],
)
def test_rows_that_are_no_questions_are_named(row, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"q.jsonl:1: a question needs"):
        read_questions(rows(tmp_path / "q.jsonl", row))


def test_doubles_empty_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    row = {"question_id": 1, "category": "x", "turns": ["a", "b"]}
    with pytest.raises(DataError, match=":2: question_id 1 comes twice"):
        read_questions(rows(tmp_path / "q.jsonl", row, row))
    with pytest.raises(DataError, match="holds no question"):
        read_questions(rows(tmp_path / "e.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="a reference answer needs"):
        read_questions(tmp_path / "q.jsonl", rows(tmp_path / "ref.jsonl", {"question_id": 1}))
