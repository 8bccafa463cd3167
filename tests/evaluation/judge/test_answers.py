"""Answers in two turns are produced once, kept row by row, and never mixed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from balora.errors import DataError, OutputError
from balora.evaluation.judge import Question, read_answers, write_answers

GENERATION = {"temperature": 0.0, "max_new_tokens": 16}


class Model:
    """Answers with what it was asked, so that every answer shows its conversation."""

    def __init__(self, breaks_after: int = 10**6) -> None:
        self.calls: list[list[list[dict[str, str]]]] = []
        self.breaks_after = breaks_after

    def __call__(self, conversations):
        if len(self.calls) >= self.breaks_after:
            raise KeyboardInterrupt
        self.calls.append(conversations)
        return ["|".join(f"{turn['role'][0]}:{turn['content']}" for turn in talk) for talk in conversations]


def written(questions, model, path, **changes):
    options = {"model_name": "student", "generation": GENERATION, "batch_size": 2} | changes
    return write_answers(questions, model, path, **options)


def test_the_second_turn_sees_the_models_own_first_answer(questions, tmp_path: Path) -> None:
    model, file = Model(), tmp_path / "new" / "answers.jsonl"
    answers = written(questions, model, file)
    assert [answer.number for answer in answers] == [81, 111, 82]
    assert answers[1].turns == (
        "u:What is 2 + 2?",
        "u:What is 2 + 2?|a:u:What is 2 + 2?|u:And 3 + 3?",
    )
    assert [len(call) for call in model.calls] == [2, 2, 1, 1]
    assert read_answers(file, questions) == answers
    row = json.loads(file.read_text().splitlines()[0])
    assert row["choices"] == [{"index": 0, "turns": list(answers[0].turns)}]
    assert (row["question_id"], row["model_id"], row["generation"]) == (81, "student", GENERATION)


@pytest.mark.parametrize("torn", [b"", b'{"question_id": 82, "model_id": "stu'])
def test_an_interrupted_run_goes_on_where_it_stopped(torn: bytes, questions, tmp_path: Path) -> None:
    whole = written(questions, Model(), tmp_path / "whole.jsonl")
    file = tmp_path / "answers.jsonl"
    with pytest.raises(KeyboardInterrupt):
        written(questions, Model(breaks_after=3), file)
    with file.open("ab") as stream:
        stream.write(torn)
    model, progress = Model(), []
    answers = written(questions, model, file, on_progress=lambda done, total: progress.append((done, total)))
    assert answers == whole
    assert [len(call) for call in model.calls] == [1, 1]
    assert progress == [(3, 3)]
    assert file.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"model_name": "other"}, "answer of student"), ({"generation": {"temperature": 1.0}}, "other settings")],
)
def test_answers_of_different_kinds_are_not_mixed(changes, what: str, questions, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    written(questions[:1], Model(), file)
    before = file.read_bytes()
    with pytest.raises(OutputError, match=what):
        written(questions, Model(), file, **changes)
    reworded = [Question(81, "writing", ("Sing.", "Again.")), *questions[1:]]
    with pytest.raises(OutputError, match="another wording of question 81"):
        written(reworded, Model(), file)
    with pytest.raises(OutputError, match="not an answer to one of these"):
        written(questions[1:], Model(), file)
    assert file.read_bytes() == before


def test_a_model_that_loses_a_row_is_caught(questions, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 texts came back for 2"):
        written(questions, lambda conversations: ["x"], tmp_path / "answers.jsonl")


def test_every_wrong_row_of_a_file_is_named(questions, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    good = {"question_id": 81, "choices": [{"turns": ["a", "b"]}]}
    rows = [good, good, {"question_id": 7, "choices": [{"turns": ["a", "b"]}]}, {"question_id": 82}, [1]]
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\nnot json\n")
    with pytest.raises(DataError) as caught:
        read_answers(file, questions)
    text = str(caught.value)
    for words in (":2: question_id 81 comes twice", ":3: question_id 7", ":4: an answer needs", ":5: is not", ":6: is"):
        assert words in text
    assert "2 questions have no answer (first: 82, 111)" in text
