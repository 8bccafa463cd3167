from __future__ import annotations

import pytest

from balora.data.bad_rows import BadRows
from balora.data.conversations import parse_messages, read_conversations
from balora.data.table import table_of_objects

TURNS = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "See you")]


def test_openai_and_sharegpt_say_the_same() -> None:
    openai = [{"role": role, "content": content} for role, content in TURNS]
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    sharegpt = [{"from": speakers[role], "value": content} for role, content in TURNS]
    parts = [{"role": role, "content": [{"type": "text", "text": content}]} for role, content in TURNS]
    columns = {"role": [role for role, _ in TURNS], "content": [content for _, content in TURNS]}
    parsed = [parse_messages(form) for form in (openai, sharegpt, parts, columns)]
    assert parsed[0] == parsed[1] == parsed[2] == parsed[3]
    assert [(message.role, message.content) for message in parsed[0]] == TURNS


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "is missing"),
        ("text", "is text, expected a list of turns"),
        (5, "is a number, expected a list of turns"),
        ({}, "is an object, expected a list of turns"),
        ([], "is an empty list"),
        (["hi"], "turn 0 is text"),
        ([{"role": "user", "content": "hi"}], "has no assistant turn"),
        ([{"role": "alien", "content": "hi"}], "turn 0 is spoken by 'alien', expected one of system"),
        ([{"content": "hi"}], "turn 0 is spoken by None"),
        ([{"role": "assistant", "content": None}], r"turn 0 \(assistant\): the content is missing"),
        ([{"role": "assistant", "content": " "}], r"turn 0 \(assistant\): the content is empty"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "only parts of the type text"),
    ],
)
def test_what_is_no_conversation(value: object, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_messages(value)


def test_turns_nobody_answers_are_left_out_and_counted() -> None:
    open_end = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    table = table_of_objects("f", [{"m": open_end}, {"m": open_end[:2]}, {"m": None}], lambda row: f"f:{row}")
    bad = BadRows("f")
    found, shortened = read_conversations(table, "m", bad)
    assert shortened == 1
    assert found[0].messages == found[1].messages
    assert found[2] is None
    assert bad.rows == {2}
