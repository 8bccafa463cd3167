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
        if all(ROW in example for example in examples):
            batch[ROW] = torch.tensor([int(example[ROW]) for example in examples])
        return batch


def with_row_numbers(dataset: Any) -> Any:
    """The dataset with a `row` column where it is a `datasets.Dataset` that lacks one."""
    if isinstance(dataset, datasets.Dataset) and ROW not in dataset.column_names:
        return dataset.add_column(ROW, list(range(len(dataset))))
    return dataset


def has_row_numbers(dataset: Any) -> bool:
    """Whether every example of a sized dataset says which row it is."""
    return isinstance(dataset, datasets.Dataset) and ROW in dataset.column_names
