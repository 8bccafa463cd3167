"""Conversations in OpenAI's form (role, content) and ShareGPT's (from, value)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from balora.data.bad_rows import BadRows
from balora.data.examples import Conversation, Message
from balora.data.table import Table
from balora.data.texts import FIX, kind_of, text_fault
from balora.errors import Problem

SPEAKERS = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "observation": "tool",
}
"""What a turn's speaker may be called -> its role."""


def read_conversations(table: Table, column: str, bad: BadRows) -> tuple[list[Conversation | None], int]:
    """The conversations of a column, and how many ended in turns that nobody answered.

    Such turns are left out, because nothing is learned after the last answer. Unusable rows are marked in `bad`.
    """
    found: list[Conversation | None] = []
    shortened = 0
    for row, value in enumerate(table.column(column)):
        try:
            messages = parse_messages(value)
        except ValueError as error:
            bad.add(row, f"'{column}' is unusable", Problem(table.place(row), f"'{column}' {error}", FIX))
            found.append(None)
            continue
        answered = messages[: 1 + max(i for i, message in enumerate(messages) if message.role == "assistant")]
        shortened += len(answered) < len(messages)
        found.append(Conversation(table.place(row), tuple(answered)))
    return found, shortened


def parse_messages(value: Any) -> list[Message]:
    """The turns of one conversation.

    Raises:
        ValueError: saying what is wrong with it, to be read after the column's name.

    >>> parse_messages([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}])[1]
    Message(role='assistant', content='Hello')
    """
    if value is None:
        raise ValueError("is missing")
    if isinstance(value, Mapping):
        value = _turns_of_columns(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"is {kind_of(value)}, expected a list of turns")
    messages = [_parse_turn(turn, number) for number, turn in enumerate(value)]
    if not any(message.role == "assistant" for message in messages):
        raise ValueError("has no assistant turn, so there is nothing to learn" if messages else "is an empty list")
    return messages


def _turns_of_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    # The datasets library hands out a Sequence of structs as one struct of lists.
    if not columns or not all(isinstance(values, list) for values in columns.values()):
        raise ValueError("is an object, expected a list of turns")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _parse_turn(turn: Any, number: int) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(f"turn {number} is {kind_of(turn)}, expected an object with role and content")
    speaker = turn["role"] if "role" in turn else turn.get("from")
    content = turn["content"] if "content" in turn else turn.get("value")
    role = SPEAKERS.get(speaker.lower()) if isinstance(speaker, str) else None
    if role is None:
        raise ValueError(f"turn {number} is spoken by {speaker!r}, expected one of {', '.join(SPEAKERS)}")
    if isinstance(content, list):
        content = _joined_parts(content, number)
    fault = text_fault(content)
    if fault and not (fault == "is empty" and role == "system"):
        raise ValueError(f"turn {number} ({role}): the content {fault}")
    return Message(role, str(content))


def _joined_parts(parts: Sequence[Any], number: int) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    usable = [text for text in texts if isinstance(text, str)]
    if len(usable) != len(parts):
        raise ValueError(f"turn {number}: only parts of the type text can be used")
    return "".join(usable)
