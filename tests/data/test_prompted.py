from __future__ import annotations

import pytest

from balora.data import Conversation, Message, PromptedText
from balora.data.prompts import alpaca_prompt
from balora.errors import DataError
from tests.data.conftest import Load

QUESTION = {"question": "2 + 2?", "answer": "4"}


def only(text: object) -> object:
    assert len(text.train.examples) == 1
    return text.train.examples[0]


def test_query_and_response_use_the_alpaca_wording(load: Load) -> None:
    example = only(load([QUESTION]))
    assert (example.prompt, example.response) == (alpaca_prompt("2 + 2?"), "4")


@pytest.mark.parametrize("extra", [{}, {"input": None}, {"input": ""}, {"input": "  "}])
def test_an_instruction_without_input(load: Load, extra: dict[str, object]) -> None:
    example = only(load([{"instruction": "Go", "output": "Gone", **extra}]))
    assert example.prompt == alpaca_prompt("Go")


def test_an_instruction_with_input(load: Load) -> None:
    example = only(load([{"instruction": "Add", "input": "1 2", "output": "3"}]))
    assert example.prompt == alpaca_prompt("Add", "1 2")


def test_prompt_and_completion_are_joined_as_they_stand_or_by_a_line_end(load: Load) -> None:
    assert only(load([{"prompt": "def f():\n", "completion": "    pass"}])).prompt == "def f():\n"
    assert only(load([{"prompt": "2 + 2 =", "completion": " 4"}])).prompt == "2 + 2 ="
    assert only(load([{"prompt": "2 + 2 =", "completion": "4"}])).prompt == "2 + 2 =\n"


def test_the_chat_template_makes_a_conversation_of_any_prompt(load: Load) -> None:
    turns = (Message("user", "2 + 2?"), Message("assistant", "4"))
    example = only(load([QUESTION], template="chat"))
    assert example == Conversation(example.place, turns)


def test_an_own_template_may_use_any_column(load: Load) -> None:
    rows = [{"text": "Add.", "code": "a + b", "task_id": 7}]
    example = only(load(rows, template="# {task_id} {text}\n", columns={"response": "code"}))
    assert (example.prompt, example.response) == ("# 7 Add.\n", "a + b")


def test_an_own_template_misses_nothing_silently(load: Load) -> None:
    rows = [{"text": "Add.", "code": "a + b"}, {"code": "c"}]
    with pytest.raises(DataError, match=r"train.jsonl:2: 'text' is missing"):
        load(rows, template="# {text}\n", columns={"response": "code"})


def test_plain_text_has_no_prompt(load: Load) -> None:
    text = load([{"text": "Once upon a time."}])
    example = only(text)
    assert text.format == "text"
    assert example == PromptedText(example.place, "", "Once upon a time.")


def test_open_ends_are_noted(load: Load) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert "1 conversations end in turns nobody answered" in load([{"messages": turns}]).notes[0]
