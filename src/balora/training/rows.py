"""Carry each example's row number through any collator, for teachers that look outputs up by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import torch

ROW = "row"
"""Name of the column and of the batch entry."""


class RowKeepingCollator:
    """Takes the row numbers out before the user's collator sees the examples, and adds them to its batch."""

    def __init__(self, collate: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> None:
        self.collate = collate

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The batch, with `row` as an int64 tensor where the examples have it."""
        batch = dict(self.collate([{key: value for key, value in row.items() if key != ROW} for row in examples]))
        if all(isinstance(example.get(ROW), int) for example in examples):
            batch[ROW] = torch.tensor([example[ROW] for example in examples])
        return batch


def with_row_numbers(dataset: Any) -> Any:
    """A `datasets.Dataset` whose `row` column counts its rows as they lie now; anything else as it is.

    A column of that name that says something else, as after a shuffle or a filter, is replaced.
    """
    if not isinstance(dataset, datasets.Dataset):
        return dataset
    counted = list(range(len(dataset)))
    if ROW in dataset.column_names:
        if list(dataset[ROW]) == counted:
            return dataset
        dataset = dataset.remove_columns(ROW)
    return dataset.add_column(ROW, counted)


def has_row_numbers(dataset: Any) -> bool:
    """Whether every example of a sized dataset says which row it is."""
    return isinstance(dataset, datasets.Dataset) and ROW in dataset.column_names
