"""Encoded rows, and their form as columns of a datasets.Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from balora.data.examples import SplitName
from balora.data.truncation import SplitLengths
from balora.errors import Problem

if TYPE_CHECKING:
    import datasets

_CHUNK_ROWS = 10_000
"""Rows per arrow chunk, so that no chunk comes near the 2^31 tokens that arrow's offsets can count."""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row of token ids (length,) and its labels."""

    ids: NDArray[np.int64]
    labels: NDArray[Any] | None
    """Generation: (length,) or, encoder-decoder, (target length,). Classification and regression: one number. None:
    the row has no label."""
    type_ids: NDArray[np.int64] | None = None


@dataclass
class EncodedSplit:
    """What became of the examples of one split."""

    rows: list[EncodedRow]
    source_rows: list[int]
    """For each row, the index of its example in the text split."""
    lengths: SplitLengths
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class EncodedData:
    """Everything as token ids, ready for a data loader."""

    train: datasets.Dataset
    """Columns input_ids, attention_mask, row (0..N-1 within the split), labels (absent from an unlabelled test split)
    and, where a tokenizer tells the two texts of a pair apart, token_type_ids."""
    validation: datasets.Dataset | None
    test: datasets.Dataset | None
    lengths: Mapping[str, SplitLengths]
    """Split name -> lengths in tokens, rows cut, rows dropped."""
    source_rows: Mapping[str, tuple[int, ...]]
    """Split name -> for each row, the index of its example in the text split."""
    fingerprint: str
    """sha256 over the token ids and labels of the training split, hex."""
    max_length: int
    """The limit in force, in tokens."""
    encoder_decoder: bool
    """Whether labels are a text of their own rather than a part of input_ids."""
    notes: tuple[str, ...]
    """What the user should know, one sentence each."""

    def split(self, name: SplitName) -> datasets.Dataset | None:
        """The split of that name, if there is one."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def rows_as_dataset(rows: Sequence[EncodedRow], fingerprint: str) -> datasets.Dataset:
    """The rows as a dataset in memory, with the sha256 of their content as its fingerprint.

    token_type_ids are kept only when some token is of another type than 0: everything else is what models assume
    anyway, and decoders do not accept them.
    """
    import datasets
    import pyarrow as pa

    columns: dict[str, Any] = {
        "input_ids": _lists([row.ids for row in rows], pa.int32()),
        "attention_mask": _lists([np.ones(len(row.ids), dtype=np.int8) for row in rows], pa.int8()),
        "row": pa.array(range(len(rows)), pa.int64()),
    }
    labels = [row.labels for row in rows if row.labels is not None]
    if len(labels) == len(rows):
        columns["labels"] = _labels(labels)
    type_ids = [row.type_ids for row in rows if row.type_ids is not None]
    if len(type_ids) == len(rows) and any(types.any() for types in type_ids):
        columns["token_type_ids"] = _lists(type_ids, pa.int8())
    return datasets.Dataset(pa.table(columns), fingerprint=fingerprint)


def _labels(labels: Sequence[NDArray[Any]]) -> Any:
    import pyarrow as pa

    if labels[0].ndim:
        return _lists(labels, pa.int32())
    number = pa.float64() if labels[0].dtype.kind == "f" else pa.int64()
    return pa.array(np.array(labels), number)


def _lists(arrays: Sequence[NDArray[Any]], number: Any) -> Any:
    import pyarrow as pa

    chunks = []
    for start in range(0, len(arrays), _CHUNK_ROWS):
        chunk = arrays[start : start + _CHUNK_ROWS]
        offsets = np.concatenate([[0], np.cumsum([len(array) for array in chunk])])
        flat = pa.array(np.concatenate(chunk), number)
        chunks.append(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat))
    return pa.chunked_array(chunks, pa.list_(number))
