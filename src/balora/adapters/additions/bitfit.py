"""BitFit: the biases train, as shifts beside the pretrained ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.additions.addition import Addition, add_to
from balora.errors import ModelError

ADD_THEIR_BIAS_LAST = (nn.Linear, Conv1D, nn.LayerNorm)
"""Layers whose output is something plus the bias, so that a shift of the output is a shift of the bias."""


class BiasShift(Addition):
    """δ with b = b₀ + δ: b₀ the pretrained bias, δ float32 and 0 at the start."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros_like(bias, dtype=torch.float32))

    def added_to(self, output: Tensor) -> Tensor:
        """f(x) + b₀ + δ."""
        return (output + self.shift).to(output.dtype)


def biased_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Every layer whose bias can train, by name; the output head keeps its own.

    Raises:
        ModelError: the model has no bias at all.
    """
    head = model.get_output_embeddings()
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, ADD_THEIR_BIAS_LAST) and module.bias is not None and module is not head
    }
    if not found:
        what = f"bitfit trains biases, and {type(model).__name__} has none"
        raise ModelError.at("adapter.method", what, "use lora, pissa or another method")
    return found


def attach_shifts(model: PreTrainedModel, saved: list[str]) -> None:
    """A trained shift for every bias outside the modules that train in full.

    Writing b as b₀ + δ changes nothing about the training of b, without weight decay on biases, which transformers'
    Trainer never applies; it keeps b₀ for the teacher and trains in float32 whatever the model's format is.

    Source: arXiv 2106.10199. Differs from it for parameters that are biases by another name (T5's relative attention
    bias is an embedding, DeBERTa-v1's query bias no layer's own): they stay frozen.
    """
    inside = {id(module) for name in saved for module in _modules_ending_in(model, name)}
    for module in biased_layers(model).values():
        if id(module) not in inside:
            add_to(module, BiasShift(module.bias))  # type: ignore[arg-type]


def _modules_ending_in(model: PreTrainedModel, ending: str) -> list[nn.Module]:
    roots = [module for name, module in model.named_modules() if name == ending or name.endswith(f".{ending}")]
    return [module for root in roots for module in root.modules()]
