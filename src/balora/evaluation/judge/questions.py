"""Questions of two turns, in the format of MT-Bench's files, with reference answers where the judge needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.errors import DataError, Problem
from balora.regular_files import read_regular
from balora.strict_json import LARGEST_BYTES, parse_json

REFERENCE_CATEGORIES = frozenset({"math", "reasoning", "coding"})
"""Categories whose answers are right or wrong, so that the judge is shown a reference."""


@dataclass(frozen=True, slots=True)
class Question:
    """Two turns of a user, and what a good answer to each says where that is known."""

    number: int
    category: str
    turns: tuple[str, str]
    reference: tuple[str, str] | None = None


def read_questions(path: Path, references: Path | None = None) -> list[Question]:
    """Read MT-Bench's `question.jsonl`, and reference answers from a file like its `reference_answer/gpt-4.jsonl`.

    A question of a `REFERENCE_CATEGORIES` category needs a reference, from that file or in its own row; other
    questions get none, even where there is one.

    Raises:
        DataError: listing every row that does not fit, with its line.
    """
    problems: list[Problem] = []
    known = dict(_reference_rows(references, problems)) if references is not None else {}
    questions: list[Question] = []
    for place, row in json_rows(path, problems):
        turns, number = row.get("turns"), row.get("question_id")
        if not _two_texts(turns) or not isinstance(number, int) or not isinstance(row.get("category"), str):
            problems.append(Problem(place, "a question needs question_id (a number), category and two turns"))
            continue
        first, second = row["turns"]
        if any(question.number == number for question in questions):
            problems.append(Problem(place, f"question_id {number} comes twice"))
            continue
        own = row.get("reference")
        reference: Sequence[str] | None = known.get(number) or (own if _two_texts(own) else None)
        if row["category"] not in REFERENCE_CATEGORIES:
            reference = None
        elif reference is None:
            what = f"question {number} of category {row['category']} has no reference answer"
            problems.append(Problem(place, what, "give the file of reference answers"))
        pair = (str(reference[0]), str(reference[1])) if reference else None
        questions.append(Question(number, row["category"], (first, second), pair))
    if not questions and not problems:
        problems.append(Problem(str(path), "holds no question"))
    if problems:
        raise DataError(problems)
    return questions


def _reference_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, Sequence[str]]]:
    for place, row in json_rows(path, problems):
        turns = turns_of_row(row)
        if turns is None or not isinstance(row.get("question_id"), int):
            problems.append(Problem(place, "a reference answer needs question_id and choices[0].turns with two texts"))
        else:
            yield row["question_id"], turns


def turns_of_row(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The two texts in the first of a row's `choices`, or None where it does not have them."""
    choices = row.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    turns = first.get("turns") if isinstance(first, dict) else None
    return (turns[0], turns[1]) if _two_texts(turns) and turns is not None else None


def json_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a JSONL file with their places; rows that are no objects are added to `problems`.

    Raises:
        DataError: when the file cannot be read.
    """
    try:
        lines = read_regular(path, LARGEST_BYTES).decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError.at(path, f"cannot be read ({error})", "check the path") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            problems.append(Problem(f"{path}:{number}", f"is not JSON ({error})"))
            continue
        if isinstance(row, dict):
            yield f"{path}:{number}", row
        else:
            problems.append(Problem(f"{path}:{number}", "is not a JSON object"))


def _two_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
