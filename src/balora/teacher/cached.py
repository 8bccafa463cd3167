"""The teacher that answered before: class logits computed once per example, for any number of epochs and runs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from balora.cache import cache_folder
from balora.teacher.fingerprint import examples_fingerprint, teacher_fingerprint
from balora.teacher.live import Teacher

NOT_READ_BY_THE_MODEL = frozenset({"labels", "label", "row"})


class CachedTeacher:
    """Looks the logits up by the example's row in the training split."""

    def __init__(self, table: Tensor) -> None:
        """Take the (N, D) table of logits by row."""
        self.table = table

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`; `rows` is needed.

        Raises:
            ValueError: when the batch does not say which rows it holds.
        """
        del model
        if rows is None:
            raise ValueError("the batch has no 'row' column, which a cached teacher looks its outputs up by")
        return self.table[rows.to(self.table.device)].to(inputs["input_ids"].device)


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
        model: the student as it is called.
        examples: the training split, in row order.
        collate: makes a batch of examples into model inputs.
        batch_size: examples per forward.
        folder: where tables are kept; left out: `teacher` in the cache folder.

    A table is found again by a hash of the teacher's weights and of what it reads, so another model, head, tokenizer,
    length or order of examples computes its own. A damaged file is computed again.
    """
    key = hashlib.sha256(
        f"{teacher_fingerprint(model)}:{examples_fingerprint(examples, NOT_READ_BY_THE_MODEL)}".encode()
    ).hexdigest()
    path = (cache_folder() / "teacher" if folder is None else folder) / f"{key}.safetensors"
    table = _read(path, len(examples))
    if table is None:
        table = compute_logits(teacher, model, examples, collate, batch_size=batch_size)
        _write(path, table)
    return CachedTeacher(table)


def compute_logits(
    teacher: Teacher,
    model: nn.Module,
    examples: Sequence[Mapping[str, Any]],
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    *,
    batch_size: int,
) -> Tensor:
    """The teacher's logits of every example, (N, D), float32, on the CPU.

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
    try:
        table = load_file(path)["logits"]
    except (OSError, SafetensorError, KeyError):
        return None
    return table if table.shape[0] == rows else None


def _write(path: Path, table: Tensor) -> None:
    """Write beside the final name and rename, so that a half-written table is never found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    os.close(handle)
    save_file({"logits": table}, name)
    Path(name).replace(path)
