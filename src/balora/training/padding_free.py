"""Batches without padding: the real tokens of all sequences in one row, positions starting anew at each.

transformers keeps sequences in such a row apart: by lengths where its attention takes them (flash attention), by a
block-diagonal mask otherwise. A padded batch spends on padding what its longest sequence dictates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.data import positions
from balora.teacher import probe_inputs, probe_logits
from balora.teacher.self_check import allowed_gap, relative_gap

_PER_TOKEN = ("input_ids", "token_type_ids")


@dataclass(frozen=True)
class PackedBatch:
    """A padded batch as one row of its T real tokens."""

    inputs: dict[str, Any]
    """What the model's forward gets: (1, T) each, no attention mask."""
    real: Tensor
    """(B, S), True where the padded batch had a token."""

    @classmethod
    def of(cls, batch: dict[str, Any]) -> PackedBatch:
        """From model inputs with `input_ids` and `attention_mask`, (B, S), padded on either side."""
        real = batch["attention_mask"].bool()
        packed = {name: value[real][None] if name in _PER_TOKEN else value for name, value in batch.items()}
        del packed["attention_mask"]
        packed["position_ids"] = positions(batch["attention_mask"])[real][None]
        return cls(packed, real)

    def padded(self, outputs: Tensor) -> Tensor:
        """What the model gave for each token, (1, T, ·), back in its place, (B, S, ·), and 0 at padding."""
        result = outputs.new_zeros(*self.real.shape, outputs.shape[-1])
        result[self.real] = outputs[0]
        return result


def takes_packed_rows(base: PreTrainedModel, *, setting: str | bool, decoder_only: bool) -> tuple[bool, str]:
    """Whether batches are packed, and why not where that was asked for.

    `auto` packs where attention takes lengths. Elsewhere the block-diagonal mask makes attention quadratic in the
    tokens of the whole batch, which only pays while attention is a small part of the work.

    Args:
        base: the transformers model inside, adapted or not.
        setting: `padding_free` of the configuration.
        decoder_only: whether the model is a GPT-like language model.
    """
    lengths_known = "flash" in str(base.config._attn_implementation)
    if setting is False or (setting == "auto" and not (lengths_known and decoder_only)):
        return False, ""
    if not decoder_only:
        return False, "padding_free is for decoder-only language models"
    gap, allowed = packing_gap(base), allowed_gap(next(base.parameters()).dtype)
    if not gap <= allowed:
        return False, f"this model does not keep packed sequences apart (its outputs differ by {gap:.2g})"
    return True, ""


def packing_gap(model: nn.Module) -> float:
    """Largest difference that packing makes to the logits of real tokens, on random ids of unequal lengths."""
    inputs = probe_inputs(model)
    ids = inputs["input_ids"].repeat(3, 1)[:3]
    mask = torch.ones_like(ids)
    for row, length in enumerate((ids.shape[1], ids.shape[1] // 2, ids.shape[1] - 3)):
        mask[row, length:] = 0
    packed = PackedBatch.of({"input_ids": ids, "attention_mask": mask})
    truth = probe_logits(model, {"input_ids": ids, "attention_mask": mask})
    found = packed.padded(probe_logits(model, {**packed.inputs, "use_cache": False}))
    return relative_gap(found[packed.real], truth[packed.real])
