"""The truth about a run's training rows, as `data.corrupt` leaves it in the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from balora.data import PromptedText, TextData
from balora.errors import DataError
from balora.run.subject import Subject
from balora.strict_json import read_json

CORRUPTED = "corrupted.json"
KINDS = ("label_noise", "answer_noise")
"""Flaws that leave a wrong answer; noise of words or of scores does not."""


@dataclass(frozen=True)
class Corruption:
    """Training rows with a wrong label or answer."""

    rows: tuple[int, ...]
    """Their places in the training split; of a repeated row the first."""
    given: tuple[Any, ...]
    """The class name, or the text of the answer."""
    true: tuple[Any, ...]
    share: float
    """Of all training rows, repeated ones counted each time."""
    kind: str


def read_corruption(subject: Subject, own: TextData | None) -> Corruption | None:
    """What is known of wrong training labels; None where the run made none.

    An entry names its row by `indices`, the places in the training split, else by `row`. Where classes are written as
    words, the true word is that which other rows of the class were given.

    Raises:
        DataError: the file is damaged.
    """
    if subject.folder is None or subject.recipe is None:
        return None
    homes = (subject.folder, subject.folder.parent)
    path = next((each / CORRUPTED for each in homes if (each / CORRUPTED).is_file()), None)
    if path is None:
        return None
    try:
        document = read_json(path)
        usual = document.get("kind", KINDS[0])
        found = [
            each for each in document["rows"] if each.get("kind", usual) in KINDS and each["given"] != each["true"]
        ]
        places = [[int(place) for place in each.get("indices") or [each["row"]]] for each in found]
        given, true = [each["given"] for each in found], [each["true"] for each in found]
        kind = ", ".join(dict.fromkeys(str(each.get("kind", usual)) for each in found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError.at(path, f"cannot be read ({error})", "copy it anew from where the run was made") from None
    if not found:
        return None
    rows = [each[0] for each in places]
    if own is not None and own.label_words is not None:
        words = _words(own, rows, given)
        known = [index for index, name in enumerate(true) if name in words and given[index] in words]
        rows, given, true = (
            [rows[index] for index in known],
            [words[given[index]] for index in known],
            [words[true[index]] for index in known],
        )
    total = 0 if own is None else len(own.train)
    share = sum(map(len, places)) / total if total else float("nan")
    return Corruption(tuple(rows), tuple(given), tuple(true), share, kind)


def _words(own: TextData, rows: Sequence[int], given: Sequence[Any]) -> dict[Any, str]:
    """Class name -> the word that its rows were given."""
    found: dict[Any, str] = {}
    for row, name in zip(rows, given, strict=True):
        example = own.train.examples[row] if row < len(own.train) else None
        if isinstance(example, PromptedText):
            found[name] = example.response
    return found
