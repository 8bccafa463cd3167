"""Every family with every method: inputs and the adapted model, for the tests of this room."""

from __future__ import annotations

from typing import Any

import torch

from tests.support import tiny

METHODS = ["lora", "rslora", "dora", "pissa"]


def inputs_for(family: str, rows: int = 2) -> dict[str, Any]:
    ids = tiny.random_ids(rows, 8)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "t5":
        inputs["decoder_input_ids"] = ids[:, :5]
    return inputs


def logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        result: torch.Tensor = model(**inputs).logits
    return result


def disturb(model: torch.nn.Module, seed: int = 0, size: float = 0.05) -> None:
    """Move every trainable number, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
