"""Class names and ids: which label values mean which class, and every way they can be wrong."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balora.errors import DataError, Problem, did_you_mean

UNLABELLED = "-1"
"""The label of rows without a label, as in GLUE's test splits."""

LARGEST_SCORE = 1e18
SHOWN_OF_A_VALUE = 80
"""Characters of a value that a message shows."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

SHOWN_IN_MAPPING = 12
"""Pairs of a mapping that a message shows."""

_DROP = "correct it, or set data.on_bad_row: drop"


@dataclass(frozen=True)
class Labels:
    """Class names in the order of their ids, and the id of every spelling a file may use."""

    names: tuple[str, ...]
    ids: Mapping[str, int]

    @classmethod
    def of_names(cls, names: Sequence[str], where: str) -> Labels:
        """Ids by position. A number stands for the class at that position, unless the names are numbers themselves.

        Raises:
            DataError: when a name is there twice, or there is only one.
        """
        repeated = sorted({name for name in names if list(names).count(name) > 1})
        if repeated:
            raise DataError.at(where, f"names {', '.join(map(repr, repeated))} more than once", "name each class once")
        if len(names) < 2:
            raise DataError.at(where, f"names {len(names)} class", "name at least two classes")
        ids = {canonical_label(name) or name: index for index, name in enumerate(names)}
        if not any(is_integer(name) for name in ids):
            ids |= {str(index): index for index in range(len(names))}
        return cls(tuple(names), ids)

    @classmethod
    def of_mapping(cls, mapping: Mapping[str, int]) -> Labels:
        """The user's own value -> id; several values may share an id, and the first one names the class.

        Raises:
            DataError: when the ids are not 0..n-1 without a gap.
        """
        names: dict[int, str] = {}
        for value, index in mapping.items():
            names.setdefault(index, value)
        if sorted(names) != list(range(len(names))) or len(names) < 2:
            found = ", ".join(map(str, sorted(names)))
            raise DataError.at("data.labels", f"maps to the ids {found}", "use 0, 1, ... without a gap, two at least")
        ids = {canonical_label(value) or value: index for value, index in mapping.items()}
        return cls(tuple(names[index] for index in range(len(names))), ids)

    def id_of(self, value: str) -> int | None:
        """The id of a label as `canonical_label` spells it; case is overlooked where that is unambiguous."""
        if value in self.ids:
            return self.ids[value]
        alike = {index for name, index in self.ids.items() if name.casefold() == value.casefold()}
        return alike.pop() if len(alike) == 1 else None

    def fault(self, value: str) -> str:
        """What is wrong with a value that has no id."""
        listed = ", ".join(self.names[:12]) + (", ..." if len(self.names) > 12 else "")
        if is_integer(value):
            return f"label {value} but labels are 0..{len(self.names) - 1} ({listed})"
        return f"label '{value}' is none of {listed}"


def canonical_label(value: Any) -> str | None:
    """A label value as text, so that 1, 1.0, "1" and " 1 " are one label; None where there is none.

    Raises:
        TypeError: when the value is neither text nor a number.

    >>> [canonical_label(value) for value in (1, 1.0, "1.000", " yes ", True, "", None)]
    ['1', '1', '1', 'yes', 'true', None, None]
    """
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return None
    if not isinstance(value, (str, int, float)):
        raise TypeError(type(value).__name__)
    text = str(value).strip()
    whole, point, zeros = text.partition(".")
    if point and is_integer(whole) and not zeros.strip("0"):
        text = whole
    return text or None


def is_integer(text: str) -> bool:
    """Whether a label is written as a whole number."""
    return text.removeprefix("-").isdecimal()


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def discover_labels(values: Sequence[str], where: str) -> Labels:
    """The classes of the training rows: whole numbers from 0 on as they are, else the sorted texts.

    Raises:
        DataError: when the values are scores, free text, mixed, not numbered from 0, or a single class.
    """
    counts = Counter(values)
    fractions = [value for value in counts if _is_fraction(value)]
    numbers = [value for value in counts if is_integer(value)]
    if fractions and len(fractions) + len(numbers) == len(counts):
        raise DataError.at(
            where,
            f"holds numbers with fractions ({_some(fractions)}), which looks like regression, not classification",
            "set task: regression",
        )
    if len(counts) > max(20, len(values) // 2):
        raise DataError.at(
            where,
            f"{len(counts)} different values in {len(values)} rows are no classes ({_some(list(counts))})",
            "set data.columns: {label: NAME} to the column with the classes",
        )
    if numbers and len(numbers) < len(counts):
        texts = [value for value in counts if value not in numbers]
        found = f"mixes numbers ({_some(numbers)}) and texts ({_some(texts)})"
        raise DataError.at(where, found, f"say which is which, for example {mapping_to_copy(list(counts))}")
    ordered = sorted(counts, key=int) if numbers else sorted(counts)
    if len(ordered) == 1:
        raise DataError.at(where, f"holds one class only, '{ordered[0]}'", "use rows of at least two classes")
    if numbers and [int(value) for value in ordered] != list(range(len(ordered))):
        found = f"holds the ids {', '.join(ordered[:12])}, but ids must be 0..{len(ordered) - 1}"
        raise DataError.at(where, found, f"set {mapping_to_copy(ordered)}")
    return Labels.of_names(ordered, where)


def _some(values: Sequence[str]) -> str:
    return ", ".join(value[:40] for value in values[:4]) + (", ..." if len(values) > 4 else "")


def spellings_note(labels: Labels, values: Sequence[str], where: str) -> str | None:
    """A note on classes that differ in case, in spaces or in how Unicode writes a letter alone.

    Args:
        labels: the classes.
        values: the labels of the rows as `canonical_label` spells them.
        where: how messages name the source.
    """
    alike: dict[str, list[str]] = {}
    for name in labels.names:
        alike.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    counts = Counter(values)
    groups = [names for names in alike.values() if len(names) > 1]
    shown = "; ".join(" and ".join(f"{_spelt(name)} ({counts[name]} rows)" for name in names) for names in groups[:4])
    return f"{where}: {shown} are classes of their own; map them to one id in data.labels if not" if groups else None


def _spelt(name: str) -> str:
    """With code points where letters alone do not tell names apart."""
    return f"'{name[:40]}'" if name.isascii() else f"'{name[:40]}' {name[:40]!a}"


def mapping_to_copy(values: Sequence[str]) -> str:
    """The setting that gives these values ids in this order.

    >>> mapping_to_copy(["1", "5"])
    'data.labels: {"1": 0, "5": 1}'
    """
    pairs = [f'"{value}": {index}' for index, value in enumerate(values[:SHOWN_IN_MAPPING])]
    return f"data.labels: {{{', '.join(pairs)}{', ...' if len(values) > SHOWN_IN_MAPPING else ''}}}"


def label_problem(value: str | None, labels: Labels, place: str) -> tuple[str, Problem]:
    """Why a value has no id, as (kind, problem)."""
    if value is None:
        return "the label is missing", Problem(place, "the label is missing", _DROP)
    if value == UNLABELLED:
        what = "label -1, which means that the row has no label (as in GLUE's test splits)"
        fix = f"use a labelled split, or set data.on_bad_row: drop; if -1 is a class: {_mapping_with_minus_one(labels)}"
        return "the label is -1", Problem(place, what, fix)
    fix = _DROP if is_integer(value) else f"{did_you_mean(value, labels.names)}{_or_one_more_class(value, labels)}"
    if _is_fraction(value):
        fix = "set task: regression if these are scores"
    return "the label is unknown", Problem(place, labels.fault(value), fix)


def _or_one_more_class(value: str, labels: Labels) -> str:
    """The mapping in which the value is a class of its own, where it is short enough to copy."""
    every = [*labels.names, value]
    return f" or {mapping_to_copy(every)}" if len(every) <= SHOWN_IN_MAPPING else ""


def _mapping_with_minus_one(labels: Labels) -> str:
    return mapping_to_copy([UNLABELLED, *labels.names])


def require_known_classes(
    train: Sequence[int], other: Sequence[int | None], labels: Labels, where: str, place_of: Sequence[str]
) -> None:
    """Checks that every class of another split occurs in training.

    Raises:
        DataError: naming each class that does not, with the first row that has it.
    """
    known = set(train)
    first: dict[int, int] = {}
    for row, index in enumerate(other):
        if index is not None and index not in known:
            first.setdefault(index, row)
    problems = [
        Problem(
            place_of[row],
            f"class '{labels.names[index]}' ({list(other).count(index)} rows of {where}) has no training row",
            "add rows of it to the training data, or take them out here",
        )
        for index, row in first.items()
    ]
    if problems:
        raise DataError(problems)


def parse_score(value: Any) -> float | None:
    """A score as a finite number; None where there is none.

    Raises:
        ValueError: when it is text, a truth value, not finite, or above `LARGEST_SCORE`.

    >>> parse_score("3.800")
    3.8
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    shown = str(value)[:SHOWN_OF_A_VALUE]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"'{shown}' is not a number")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    except ValueError:
        raise ValueError(f"'{shown}' is not a number") from None
    if not math.isfinite(score):
        raise ValueError(f"{shown} is not a finite number")
    if isinstance(value, str) and not _DECIMAL.fullmatch(value.strip()):
        raise ValueError(f"'{shown}' is not a number as 0.5 or 1e-3 are")
    if abs(score) > LARGEST_SCORE:
        raise ValueError(f"{shown} is not a number of at most {LARGEST_SCORE:g}, whose square float32 can hold")
    return score
