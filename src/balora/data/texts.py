"""Text values of a column: checked row by row, never converted, never guessed."""

from __future__ import annotations

from typing import Any

from balora.data.bad_rows import BadRows
from balora.data.table import Table
from balora.errors import Problem

FIX = "correct it, or set data.on_bad_row: drop"

_KINDS = {
    str: "text",
    bool: "true/false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bytes: "bytes",
    type(None): "nothing",
}


def kind_of(value: object) -> str:
    """What a value is, for a message.

    >>> kind_of([1])
    'a list'
    """
    return _KINDS.get(type(value), type(value).__name__)


def text_fault(value: Any) -> str | None:
    """Why a value is not usable as text, if it is not.

    >>> text_fault("NA"), text_fault("  "), text_fault(5)
    (None, 'is empty', 'is a number, expected text')
    """
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"is {kind_of(value)}, expected text"
    if not value.strip():
        return "is empty"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which is no character"
    return None


def usable_texts(table: Table, column: str, bad: BadRows) -> list[str]:
    """The texts of a column; rows without a usable one are marked in `bad` and hold "" here."""
    texts = []
    for row, value in enumerate(table.column(column)):
        fault = text_fault(value)
        if fault is not None:
            kind = f"'{column}' {fault}"
            found = f" ({value!r:.40})" if isinstance(value, (int, float, list, dict)) else ""
            bad.add(row, kind, Problem(table.place(row), kind + found, FIX))
        texts.append(value if fault is None else "")
    return texts


def template_texts(table: Table, column: str, bad: BadRows) -> list[str]:
    """What a placeholder stands for, row by row: text, an empty one too, and numbers as they are written."""
    texts = []
    for row, value in enumerate(table.column(column)):
        written = str(value) if isinstance(value, (int, float)) else value
        fault = None if written == "" else text_fault(written)
        if fault not in (None, "is empty"):
            kind = f"'{column}' {fault}"
            bad.add(row, kind, Problem(table.place(row), kind, FIX))
        texts.append(written if isinstance(written, str) else "")
    return texts


def optional_texts(table: Table, column: str | None, bad: BadRows) -> list[str]:
    """The texts of a column that may be absent, missing or empty; numbers and the like are still marked in `bad`."""
    if column is None:
        return [""] * table.rows
    texts = []
    for row, value in enumerate(table.column(column)):
        fault = None if value is None or value == "" else text_fault(value)
        if fault not in (None, "is empty"):
            kind = f"'{column}' {fault}"
            bad.add(row, kind, Problem(table.place(row), kind, FIX))
        texts.append(value if isinstance(value, str) and fault is None else "")
    return texts
