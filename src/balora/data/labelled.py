"""Examples of classification and regression: texts or pairs with a class id or a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balora.data.bad_rows import BadRows
from balora.data.examples import Example, LabelledText, SplitName
from balora.data.formats import Shape
from balora.data.labels import (
    UNLABELLED,
    Labels,
    canonical_label,
    discover_labels,
    label_problem,
    parse_score,
    spellings_note,
)
from balora.data.presets import Preset
from balora.data.settings import DataSettings
from balora.data.table import Table
from balora.data.texts import FIX, kind_of, usable_texts
from balora.errors import DataError, Problem

SHOWN_ROWS = 5
NO_NUMBER = "is not a number"


@dataclass
class LabelledRows:
    """The rows of one split while their labels are still as the source spells them."""

    split: SplitName
    table: Table
    bad: BadRows
    texts: Sequence[str]
    pairs: Sequence[str | None]
    column: str | None
    """The label column; None: there is none."""
    values: Sequence[Any]
    without_gold_label: set[int]
    """Rows the preset leaves out because the annotators did not agree."""

    @property
    def labelled(self) -> bool:
        """Whether the split has labels; only a test split may have none."""
        values = self.values if self.column else ()
        return self.split != "test" or any(value not in (None, "", -1, UNLABELLED) for value in values)

    def examples(self, labels: Mapping[int, int | float | None]) -> list[Example | None]:
        """The examples, None where the row is unusable or left out."""
        left_out = self.bad.rows | self.without_gold_label
        return [
            None if row in left_out else LabelledText(self.table.place(row), text, pair, labels.get(row))
            for row, (text, pair) in enumerate(zip(self.texts, self.pairs, strict=True))
        ]


def read_labelled(split: SplitName, table: Table, shape: Shape, bad: BadRows, preset: Preset | None) -> LabelledRows:
    """The texts of a table, and its labels as they stand there."""
    texts = usable_texts(table, shape.columns["text"], bad)
    pair = shape.columns.get("text_pair")
    pairs: Sequence[str | None] = usable_texts(table, pair, bad) if pair else [None] * table.rows
    column = shape.columns.get("label") or shape.columns.get("score")
    values = table.column(column) if column else ()
    skipped = preset.without_gold_label if preset else ()
    without = {row for row, value in enumerate(values) if skipped and str(value).strip() in skipped}
    return LabelledRows(split, table, bad, texts, pairs, column, values, without)


def class_ids(rows: LabelledRows, labels: Labels) -> dict[int, int | float | None]:
    """Row -> class id; rows whose label has none are marked as bad."""
    found: dict[int, int | float | None] = {}
    for row, value in _canonical_values(rows).items():
        index = None if value is None else labels.id_of(value)
        if index is None:
            rows.bad.add(row, *label_problem(value, labels, rows.table.place(row)))
        found[row] = index
    return found


def _canonical_values(rows: LabelledRows) -> dict[int, str | None]:
    values: dict[int, str | None] = {}
    for row, value in enumerate(rows.values):
        if row in rows.without_gold_label:
            continue
        try:
            values[row] = canonical_label(value)
        except TypeError:
            kind = f"'{rows.column}' is {kind_of(value)}, expected a label"
            rows.bad.add(row, kind, Problem(rows.table.place(row), kind, FIX))
    return values


def labels_of(train: LabelledRows, settings: DataSettings, preset: Preset | None) -> Labels:
    """The classes: from the settings, else the preset, else the source's own names, else the training rows.

    Raises:
        DataError: when none of these gives classes numbered 0..n-1.
    """
    if isinstance(settings.labels, dict):
        return Labels.of_mapping(settings.labels)
    if settings.labels is not None:
        return Labels.of_names(settings.labels, "data.labels")
    if preset is not None and preset.label_names is not None:
        return Labels.of_names(preset.label_names, "data.preset")
    where = f"{train.table.where} column '{train.column}'"
    names = train.table.class_names.get(train.column or "")
    if names:
        return Labels.of_names(names, where)
    values = [v for v in _canonical_values(train).values() if v is not None and v != UNLABELLED]
    if not values:
        raise DataError.at(where, "holds no label at all", "name the column with the classes in data.columns.label")
    try:
        return discover_labels(values, where)
    except DataError as error:
        if len(set(values)) > 1:
            raise
        raise DataError([*_missing_labels(train), *error.problems]) from None


def _missing_labels(rows: LabelledRows) -> list[Problem]:
    """The first rows without a label, which may be why only one class is left."""
    without = [row for row, value in _canonical_values(rows).items() if value is None and row not in rows.bad.rows]
    return [Problem(rows.table.place(row), "the label is missing", FIX) for row in without[:SHOWN_ROWS]]


def spellings_of(rows: LabelledRows, labels: Labels) -> str | None:
    """See `spellings_note`."""
    values = [value for value in _canonical_values(rows).values() if value is not None]
    return spellings_note(labels, values, f"{rows.table.where} column '{rows.column}'")


def scores(rows: LabelledRows) -> dict[int, int | float | None]:
    """Row -> score; rows without a usable one are marked as bad.

    Raises:
        DataError: when most values are text, as class names are, or the training scores are all the same.
    """
    found: dict[int, int | float | None] = {}
    faults: dict[int, str] = {}
    for row, value in enumerate(rows.values):
        try:
            found[row] = parse_score(value)
        except ValueError as error:
            faults[row] = str(error)
        else:
            if found[row] is None:
                faults[row] = "the score is missing"
    texts = {row for row, fault in faults.items() if isinstance(rows.values[row], str) and fault.endswith(NO_NUMBER)}
    if len(texts) > len(rows.values) / 2:
        raise DataError.at(
            f"{rows.table.where} column '{rows.column}'",
            f"{faults[min(texts)]}, which looks like classification, not regression",
            "set task: classification, or data.columns: {score: NAME}",
        )
    given = [score for score in found.values() if score is not None]
    if rows.split == "train" and len(given) > 1 and len(set(given)) == 1:
        where = f"{rows.table.where} column '{rows.column}'"
        raise DataError.at(where, f"every score is {given[0]:g}", "use rows whose scores differ")
    for row, fault in faults.items():
        kind = "the score is missing" if "missing" in fault else "the score is not a number"
        rows.bad.add(row, kind, Problem(rows.table.place(row), fault, FIX))
    return found
