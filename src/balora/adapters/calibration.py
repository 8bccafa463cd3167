"""The calibration sample of a data-driven start: rows, how they become batches, and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from balora.errors import ModelError

Collate = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""Rows -> one batch as the model's forward takes it, labels included."""

NOT_FOR_THE_MODEL = frozenset({"row"})
"""Columns of a batch that only the trainer reads."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rows that were drawn before, so that every process and every resumed run starts alike.

    Make one from any sequence of encoded rows; a recipe makes its own (`balora.run`).
    """

    rows: Sequence[Mapping[str, Any]]
    """Encoded rows: input_ids, attention_mask and, for lora_ga, labels."""
    collate: Collate
    source: str = "given in Python"
    """What the rows are: the training split, or a text file."""
    fingerprint: str = ""
    """sha256 of the token ids and labels of the source, before the draw."""
    seed: int = 0
    """Seed of the draw."""

    def identity(self) -> dict[str, Any]:
        """What a run records."""
        return {"source": self.source, "rows": len(self.rows), "seed": self.seed, "fingerprint": self.fingerprint}

    def batches(self, model: nn.Module, size: int = 1) -> Iterator[dict[str, Any]]:
        """Batches of `size` rows on the model's device; the last may be smaller."""
        for start in range(0, len(self.rows), size):
            yield self.batch_of(self.rows[start : start + size], model)

    def batch_of(self, rows: Sequence[Mapping[str, Any]], model: nn.Module) -> dict[str, Any]:
        """These rows as one batch on the model's device."""
        device = next(model.parameters()).device
        batch = self.collate(rows)
        return {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in batch.items()
            if name not in NOT_FOR_THE_MODEL
        }


def draw_rows(count: int, samples: int, seed: int) -> list[int]:
    """Which of `count` rows are the sample: `samples` of them, drawn without replacement, in their own order.

    >>> draw_rows(10, 3, seed=0) == draw_rows(10, 3, seed=0), draw_rows(2, 3, seed=0)
    (True, [0, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    return sorted(torch.randperm(count, generator=generator)[:samples].tolist())


def needed(calibration: Calibration | None, method: str) -> Calibration:
    """The sample of a method that cannot start without one.

    Raises:
        ModelError: there is none, or it has no rows.
    """
    if calibration is None or not calibration.rows:
        what = f"{method} starts from a calibration sample, and there is none"
        fix = "pass calibration=balora.Calibration(rows, collate); a recipe draws it from the training split"
        raise ModelError.at("adapter.calibration", what, fix)
    return calibration
