"""Answers in two turns: produced by a model through its chat template, kept row by row so that nothing is lost."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.artefacts import disk_in_words
from balora.errors import DataError, OutputError, Problem
from balora.evaluation.judge.questions import Question, json_rows, turns_of_row

Conversation = list[dict[str, str]]
Generate = Callable[[list[Conversation]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said in both turns of a question."""

    number: int
    """The question's."""
    model: str
    turns: tuple[str, str]


def write_answers(
    questions: Sequence[Question],
    generate: Generate,
    path: Path,
    *,
    model_name: str,
    generation: Mapping[str, Any],
    batch_size: int = 8,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Answer every question in two turns and keep the answers in a JSONL file of MT-Bench's format.

    `generate` gets conversations (lists of `{"role", "content"}`, ending with the user) and returns the assistant's
    texts; it applies the model's own chat template. The second turn sees the model's own first answer. Each batch is on
    disk before the next one begins; rows that the file already holds are not generated again, and a last row that was
    cut off is. `generation` (settings as plain data) is written to each row.

    Raises:
        OutputError: when the file holds answers of another model, of other questions or other settings.
        DataError: when a row of it cannot be read, or `generate` returns another number of texts.
    """
    _drop_torn_row(path)
    done = _finished(path, questions, model_name, generation) if path.exists() else {}
    left = [question for question in questions if question.number not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        for start in range(0, len(left), batch_size):
            batch = left[start : start + batch_size]
            first = _asked(generate, [_user(question.turns[0]) for question in batch])
            talks = [
                [*_user(question.turns[0]), {"role": "assistant", "content": text}, *_user(question.turns[1])]
                for question, text in zip(batch, first, strict=True)
            ]
            second = _asked(generate, talks)
            for question, *texts in zip(batch, first, second, strict=True):
                answer = Answer(question.number, model_name, (texts[0], texts[1]))
                done[question.number] = answer
                stream.write(json.dumps(_row(question, answer, generation), ensure_ascii=False) + "\n")
            with disk_in_words(path.parent, "the answers", elsewhere="--out"):
                stream.flush()
                os.fsync(stream.fileno())
            if on_progress is not None:
                on_progress(len(done), len(questions))
    return [done[question.number] for question in questions]


def read_answers(path: Path, questions: Sequence[Question]) -> list[Answer]:
    """One answer for each question, from a file in MT-Bench's format, whoever wrote it.

    Raises:
        DataError: when a question has no answer or two, an answer no question, or a row cannot be read.
    """
    problems: list[Problem] = []
    wanted = {question.number for question in questions}
    found: dict[int, Answer] = {}
    for place, row in json_rows(path, problems):
        turns, number = turns_of_row(row), row.get("question_id")
        if turns is None or not isinstance(number, int):
            problems.append(Problem(place, "an answer needs question_id and choices[0].turns with two texts"))
        elif number not in wanted or number in found:
            what = "comes twice" if number in found else "is not among the questions"
            problems.append(Problem(place, f"question_id {number} {what}"))
        else:
            found[number] = Answer(number, str(row.get("model_id", "")), turns)
    missing = sorted(wanted - set(found))
    if missing:
        shown = ", ".join(map(str, missing[:10]))
        problems.append(Problem(str(path), f"{len(missing)} questions have no answer (first: {shown})"))
    if problems:
        raise DataError(problems)
    return [found[question.number] for question in questions]


def _user(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


def _asked(generate: Generate, conversations: list[Conversation]) -> list[str]:
    texts = list(generate(conversations))
    if len(texts) != len(conversations):
        what = f"{len(texts)} texts came back for {len(conversations)} conversations"
        raise DataError.at("generate", what, "return one text for each conversation, in order")
    return texts


def _fingerprint(question: Question) -> str:
    return hashlib.sha256("\x00".join(question.turns).encode()).hexdigest()[:16]


def _row(question: Question, answer: Answer, generation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "question_id": question.number,
        "model_id": answer.model,
        "choices": [{"index": 0, "turns": list(answer.turns)}],
        "question_hash": _fingerprint(question),
        "generation": dict(generation),
    }


def _drop_torn_row(path: Path) -> None:
    """Take away what an interrupted write left behind the last complete line."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        data = stream.read()
        if data and not data.endswith(b"\n"):
            stream.truncate(data.rfind(b"\n") + 1)


def _finished(
    path: Path, questions: Sequence[Question], model_name: str, generation: Mapping[str, Any]
) -> dict[int, Answer]:
    problems: list[Problem] = []
    by_number = {question.number: question for question in questions}
    done: dict[int, Answer] = {}
    fix = "choose another file for these answers"
    for place, row in json_rows(path, problems):
        turns, question = turns_of_row(row), by_number.get(row.get("question_id", -1))
        if turns is None or question is None:
            problems.append(Problem(place, "is not an answer to one of these questions", fix))
        elif row.get("model_id") != model_name:
            problems.append(Problem(place, f"is an answer of {row.get('model_id')}, not of {model_name}", fix))
        elif row.get("question_hash") != _fingerprint(question):
            problems.append(Problem(place, f"answers another wording of question {question.number}", fix))
        elif row.get("generation") != json.loads(json.dumps(dict(generation))):
            problems.append(Problem(place, "was generated with other settings", fix))
        else:
            done[question.number] = Answer(question.number, model_name, turns)
    if problems:
        raise OutputError(problems)
    return done
