"""Which column plays which role: the user's mapping first, then the preset's names, then the usual synonyms."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

from balora.data.table import Table
from balora.errors import DataError, Problem, did_you_mean

_TWINS = str.maketrans(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u0261\u04bb\u051b"
    "\u051d\u04cf\u03bf\u03b1\u03bd\u03b9\u03c5",
    "aceopxyijsdghqwloaviu",
)
"""Cyrillic and Greek letters that look like those of ASCII."""

COMPARED = 1000
"""Names that are compared with what was looked for; more take seconds."""

ROLES = (
    "text",
    "text_pair",
    "label",
    "score",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "query",
    "response",
    "messages",
)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "review", "content", "document"),
    "label": ("label", "gold_label", "labels", "class", "target", "category", "sentiment", "entailment_label"),
    "score": ("score", "relatedness_score", "similarity", "similarity_score", "rating", "label", "labels", "target"),
    "prompt": ("prompt",),
    "completion": ("completion",),
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "output": ("output", "response", "answer"),
    "query": ("query", "question", "prompt", "instruction", "problem"),
    "response": ("response", "answer", "output", "solution", "completion"),
    "messages": ("messages", "conversations", "conversation"),
}
"""Role -> names its column usually has. The role's own name wins over the others."""

PAIRS: tuple[tuple[str, str], ...] = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("sentence_a", "sentence_b"),
    ("question", "passage"),
)
"""Columns that usually hold the two texts of a pair."""


def find_column(names: Iterable[str], wanted: str) -> str | None:
    """The column of that name; case, spaces, `-` and `_` are overlooked where the exact name is not there.

    >>> find_column(["Sentence A", "Label"], "sentence_a")
    'Sentence A'
    """
    if wanted in names:
        return wanted
    alike = [name for name in names if _plain(name) == _plain(wanted)]
    return alike[0] if len(alike) == 1 else None


@lru_cache(maxsize=1 << 16)
def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " -_")


def explicit_columns(table: Table, columns: Mapping[str, str | int], used: Sequence[str]) -> dict[str, str]:
    """`data.columns` for this table: role -> column name.

    Raises:
        DataError: listing every unknown role, role the format does not use, and column that is not there.
    """
    problems: list[Problem] = []
    found: dict[str, str] = {}
    for role, column in columns.items():
        if role not in used:
            problems.append(_role_problem(role, column, used))
        elif (name := _named_column(table, column)) is None:
            problems.append(_column_problem(table, role, column))
        else:
            found[role] = name
    if problems:
        raise DataError(problems)
    return found


def _named_column(table: Table, column: str | int) -> str | None:
    if isinstance(column, int):
        return table.names[column] if 0 <= column < len(table.names) else None
    return column if column in table.names else None


def _role_problem(role: str, column: str | int, used: Sequence[str]) -> Problem:
    where = f"data.columns.{role}"
    if role in ROLES:
        return Problem(where, f"the role '{role}' is not used here", f"roles in use: {', '.join(used)}")
    fix = did_you_mean(role, used)
    if column in ROLES:
        fix = f"write the role first: {column}: {role}"
    return Problem(where, f"'{role}' is no role", fix)


def _column_problem(table: Table, role: str, column: str | int) -> Problem:
    where = f"data.columns.{role}"
    if isinstance(column, int):
        return Problem(where, f"{table.where} has no column {column}", f"count from 0 to {len(table.names) - 1}")
    if not table.has_header:
        last = len(table.names) - 1
        return Problem(where, f"{table.where} has no header, so no column '{column}'", f"give a position, 0 to {last}")
    return Problem(where, f"{table.where} has no column '{column}'; {table.found()}", did_you_mean(column, table.names))


def find_role(table: Table, role: str, candidates: Sequence[str] = ()) -> str | None:
    """The one column that plays a role, by the candidates (a preset's names), else by the synonyms.

    Raises:
        DataError: when several synonyms are there and none of them is the role's own name.
    """
    for name in candidates:
        if (column := find_column(table.names, name)) is not None:
            return column
    found = {column: None for name in SYNONYMS[role] if (column := find_column(table.names, name)) is not None}
    own = find_column(table.names, role)
    if own is not None or len(found) <= 1:
        return own or next(iter(found), None)
    raise ambiguous(table, role, list(found))


def _seen_as(name: str) -> str:
    """What a reader takes the name for: twins of other alphabets as ASCII, nothing for what is not seen."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(letter for letter in plain.translate(_TWINS) if unicodedata.category(letter) != "Cf")


def ambiguous(table: Table, role: str, found: Sequence[str]) -> DataError:
    """The error for a role that several columns could play."""
    names = " or ".join(f"'{name}'" for name in found)
    return DataError.at(table.where, f"'{role}' could be {names}", f"set data.columns: {{{role}: {found[0]}}}")


def missing(table: Table, role: str, looked_for: Sequence[str]) -> DataError:
    """The error for a role that no column plays, with the closest name there is."""
    what = f"no column for '{role}' (looked for {', '.join(looked_for)}); {table.found()}"
    lowered = {name.casefold(): name for name in table.names[:COMPARED]}
    close = [lowered[match] for name in looked_for for match in get_close_matches(name, lowered, n=1, cutoff=0.75)]
    lookalike = next((name for name in table.names if not name.isascii() and _seen_as(name) in looked_for), None)
    if lookalike is not None:
        odd = ", ".join(dict.fromkeys(f"U+{ord(letter):04X}" for letter in lookalike if not letter.isascii()))
        fix = f"'{lookalike}' holds {odd}; type its name anew in the file"
        return DataError.at(table.where, what, fix)
    if close:
        return DataError.at(
            table.where, what, f"did you mean '{close[0]}'? then set data.columns: {{{role}: {close[0]}}}"
        )
    return DataError.at(table.where, what, f"set data.columns: {{{role}: NAME}}{header_hint(table)}")


def header_hint(table: Table) -> str:
    """What to add to a fix when the first line may have been data, or there is no header at all."""
    if not table.has_header:
        return f" with a position from 0 to {len(table.names) - 1}"
    if any(name == "" or len(name) > 40 or name.isdigit() for name in table.names):
        return ", or if the first line is not a header set data.header: false and give positions"
    return ""


def text_columns(table: Table, candidates: Mapping[str, Sequence[str]], pair: bool | None) -> dict[str, str]:
    """The column of a text, or the two of a pair; `pair` is None where either will do.

    A preset's names come first. A pair wins over the single text that is a part of it.

    Raises:
        DataError: when nothing fits, or more than one reading does.
    """
    preset = {role: find_role_by_name(table, candidates.get(role, ())) for role in ("text", "text_pair")}
    if preset["text"] and (preset["text_pair"] or not candidates.get("text_pair")):
        return {role: column for role, column in preset.items() if column}
    pairs = [] if pair is False else _pairs(table)
    inside = {column for columns in pairs for column in columns}
    singles = [] if pair else [(column,) for column in _single_texts(table) if column not in inside]
    readings: list[tuple[str, ...]] = [*pairs, *singles]
    if not readings:
        names = [f"{first}+{second}" for first, second in PAIRS]
        raise missing(table, "text", ([] if pair else [*SYNONYMS["text"]]) + ([] if pair is False else names))
    if len(readings) > 1:
        raise ambiguous(table, "text", [" with ".join(reading) for reading in readings])
    return dict(zip(("text", "text_pair"), readings[0], strict=False))


def _pairs(table: Table) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for names in PAIRS:
        columns = tuple(column for name in names if (column := find_column(table.names, name)) is not None)
        if len(columns) == 2:
            found.append(columns)
    return found


def _single_texts(table: Table) -> list[str]:
    own = find_column(table.names, "text")
    return [own] if own else [c for name in SYNONYMS["text"] if (c := find_column(table.names, name)) is not None]


def find_role_by_name(table: Table, names: Sequence[str]) -> str | None:
    """The first of these names that is a column."""
    return next((column for name in names if (column := find_column(table.names, name)) is not None), None)
