"""The teacher that answered before: class logits computed once per example, for any number of epochs and runs."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from balora.cache import cache_folder, count_use, staged_file
from balora.errors import ModelError
from balora.teacher.fingerprint import (
    collation_fingerprint,
    combined,
    example_fingerprint,
    precision_fingerprint,
    teacher_fingerprint,
    tensor_bytes,
)
from balora.teacher.live import Teacher

NOT_READ_BY_THE_MODEL = frozenset({"labels", "label", "row"})

TABLE_FORMAT = "2"
"""Version of the files and of what their names stand for; a change makes older ones unknown."""

COLLATED = 4
"""Examples that stand for the whole split when it comes to what the collator does."""


class TeacherCacheWarning(UserWarning):
    """Teacher outputs could not be stored; the run goes on without."""


class CachedTeacher:
    """Looks the logits up by the example's row in the training split."""

    def __init__(self, table: Tensor) -> None:
        """Take the (N, D) table of logits by row; it moves to the device of the first rows that are asked for."""
        self.table = table

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`; `rows` is needed.

        Raises:
            ValueError: when the batch does not say which rows it holds.
        """
        del model, inputs
        if rows is None:
            raise ValueError("the batch has no 'row' column, which a cached teacher looks its outputs up by")
        if self.table.device != rows.device:
            self.table = self.table.to(rows.device)
        return self.table[rows]


def build_cached_teacher(
    teacher: Teacher,
    model: nn.Module,
    examples: Sequence[Mapping[str, Any]],
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    *,
    batch_size: int = 32,
    folder: Path | None = None,
) -> CachedTeacher:
    """Load the table of logits from the cache, or compute it with `teacher` and store it.

    Args:
        teacher: the live teacher that answers what is not stored.
        model: the student as it is called, under the autocast that it trains under.
        examples: the training split; `row` says where in the table an example's logits go, and is its index where it
            is left out.
        collate: makes a batch of examples into model inputs.
        batch_size: examples per forward.
        folder: where tables are kept; left out: `teacher` in the cache folder.

    A table is found again by a hash of the teacher's class, configuration, weights and number format and of what it
    reads, so another model, head, tokenizer, length, padding or autocast computes its own. A damaged file is computed
    again. Where nothing can be stored there is one `TeacherCacheWarning`, and the table is kept in memory.

    Raises:
        ModelError: when the rows are not 0 to N-1, each once.
    """
    order, examples_read = survey(examples, NOT_READ_BY_THE_MODEL)
    shown = [examples[index] for index in order[:COLLATED]]
    parts = [
        TABLE_FORMAT,
        teacher_fingerprint(model),
        precision_fingerprint(model),
        examples_read,
        collation_fingerprint(collate, shown, NOT_READ_BY_THE_MODEL),
    ]
    key = combined(parts)
    path = (cache_folder() / "teacher" if folder is None else folder) / f"{key}.safetensors"
    table = _read(path, len(order))
    count_use("teacher logits", found=table is not None)
    if table is None:
        table = compute_logits(teacher, model, examples, collate, batch_size=batch_size)[order]
        _store(path, table)
    return CachedTeacher(table)


def survey(examples: Sequence[Mapping[str, Any]], ignored: frozenset[str]) -> tuple[list[int], str]:
    """For every row number the position of its example, and the fingerprint of the examples in that order.

    What is in the columns `ignored` does not count: runs that differ only in label noise share class logits.

    Raises:
        ModelError: when the rows are not 0 to N-1, each once.
    """
    rows, fingerprints = [], []
    for position in range(len(examples)):
        example = examples[position]
        rows.append(str(int(row) if isinstance(row := example.get("row", position), Tensor) else row))
        fingerprints.append(example_fingerprint(example, ignored))
    numbers = {str(number): number for number in range(len(rows))}
    if set(rows) != numbers.keys():
        what = f"the column 'row' must number the {len(rows)} examples from 0 to {len(rows) - 1}, each once"
        raise ModelError.at("train_dataset", what, "remove or rename the column, or set regularizers.teacher: live")
    order = sorted(range(len(rows)), key=lambda position: numbers[rows[position]])
    return order, combined(fingerprints[position] for position in order)


def compute_logits(
    teacher: Teacher,
    model: nn.Module,
    examples: Sequence[Mapping[str, Any]],
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    *,
    batch_size: int,
) -> Tensor:
    """The teacher's logits of every example in the split's order, (N, D), float32, on the CPU.

    Examples of similar length share a batch, so that little is padding.
    """
    device = next(model.parameters()).device
    lengths = [len(examples[index]["input_ids"]) for index in range(len(examples))]
    order = sorted(range(len(examples)), key=lengths.__getitem__)
    parts = []
    for start in range(0, len(order), batch_size):
        batch = collate([examples[index] for index in order[start : start + batch_size]])
        inputs = {key: value.to(device) for key, value in batch.items() if key not in NOT_READ_BY_THE_MODEL}
        parts.append(teacher.logits(model, inputs).float().cpu())
    sorted_table = torch.cat(parts)
    table = torch.empty_like(sorted_table)
    table[torch.tensor(order)] = sorted_table
    return table


def _read(path: Path, rows: int) -> Tensor | None:
    """The stored table where it is whole: its digest is stored beside it."""
    try:
        with safe_open(path, framework="pt") as file:
            table: Tensor = file.get_tensor("logits")
            stored = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return table if table.shape[0] == rows and stored == _digest(table) else None


def _store(path: Path, table: Tensor) -> None:
    try:
        with staged_file(path) as beside:
            save_file({"logits": table.contiguous()}, beside, metadata={"format": "pt", "sha256": _digest(table)})
    except (OSError, SafetensorError) as error:
        what = f"teacher outputs cannot be stored in '{path.parent}' ({error}); this run keeps them in memory"
        fix = "name another folder in regularizers.teacher_cache_dir or BALORA_CACHE to find them again"
        warnings.warn(f"{what}; {fix}", TeacherCacheWarning, stacklevel=3)


def _digest(table: Tensor) -> str:
    return hashlib.sha256(tensor_bytes(table)).hexdigest()
