"""From rows to a batch of tensors: padding on the tokenizer's side, labels ignored where padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from balora.task import IGNORED_LABEL, Task

if TYPE_CHECKING:
    import torch

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Collator:
    """Makes a batch of rows; see `make_collator`."""

    task: Task
    side: Side
    pad_id: int
    encoder_decoder: bool
    pad_to_multiple_of: int | None

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch: input_ids and attention_mask (rows, length), and what else the rows hold: labels, row (rows,).

        Rows that bring an attention_mask keep it; `label` is read as `labels`.
        Labels are (rows,) for classification (int64) and regression (float32), (rows, length) for generation. They are
        absent when the rows have none.
        """
        import torch

        ids = [row["input_ids"] for row in rows]
        masked = all("attention_mask" in row for row in rows)
        attended = [row["attention_mask"] if masked else [1] * len(row["input_ids"]) for row in rows]
        batch = {
            "input_ids": self._padded(ids, self.pad_id, self.side),
            # By length, never by id: padding may be the end token, which is a real token elsewhere.
            "attention_mask": self._padded(attended, 0, self.side),
        }
        if all("row" in row for row in rows):
            batch["row"] = torch.tensor([row["row"] for row in rows], dtype=torch.int64)
        if all("token_type_ids" in row for row in rows):
            batch["token_type_ids"] = self._padded([row["token_type_ids"] for row in rows], 0, self.side)
        for name in ("labels", "label"):
            if "labels" not in batch and all(name in row for row in rows):
                batch["labels"] = self._labels([row[name] for row in rows])
        if self.task == "generation" and self.side == "left" and not self.encoder_decoder:
            batch["position_ids"] = positions(batch["attention_mask"])
        return batch

    def _labels(self, labels: Sequence[Any]) -> torch.Tensor:
        import torch

        if self.task == "classification":
            return torch.tensor(labels, dtype=torch.int64)
        if self.task == "regression":
            return torch.tensor(labels, dtype=torch.float32)
        # A decoder with its own input starts at the left end, so its labels are padded on the right.
        return self._padded(labels, IGNORED_LABEL, "right" if self.encoder_decoder else self.side)

    def _padded(self, rows: Sequence[Sequence[int]], filler: int, side: Side) -> torch.Tensor:
        import torch

        length = max(len(row) for row in rows)
        multiple = self.pad_to_multiple_of or 1
        length = -(-length // multiple) * multiple
        batch = torch.full((len(rows), length), filler, dtype=torch.int64)
        for index, row in enumerate(rows):
            start = length - len(row) if side == "left" else 0
            batch[index, start : start + len(row)] = torch.as_tensor(row, dtype=torch.int64)
        return batch


def positions(attention_mask: torch.Tensor) -> torch.Tensor:
    """Positions counted from the first real token, 0 on padding, (rows, length).

    >>> import torch
    >>> positions(torch.tensor([[0, 0, 1, 1, 1]])).tolist()
    [[0, 0, 0, 1, 2]]
    """
    return (attention_mask.cumsum(dim=-1) - 1).clamp(min=0)


def make_collator(
    tokenizer: Any, task: Task, *, encoder_decoder: bool = False, pad_to_multiple_of: int | None = None
) -> Collator:
    """The function that turns rows of `EncodedData` into a batch.

    A tokenizer without a padding token pads with its end token, else with id 0: the attention mask tells padding from
    text either way. A decoder padded on the left also gets `position_ids`, so that the side of the padding does not
    change what the model computes.
    """
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    pad_id = next(token_id for token_id in candidates if token_id is not None)
    side: Side = "left" if tokenizer.padding_side == "left" else "right"
    return Collator(task, side, pad_id, encoder_decoder, pad_to_multiple_of)
