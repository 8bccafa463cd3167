"""How far an adapter has moved the weights, as factors of the change of every layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from peft.tuners.adalora import AdaLoraLayer
from peft.tuners.lora.layer import LoraLayer, ParamWrapper
from torch import Tensor, nn

from balora.adapters.additions.addition import Addition
from balora.adapters.additions.bitfit import BiasShift
from balora.adapters.additions.bottleneck import Bottleneck
from balora.adapters.anchor import ADAPTER_NAME, Anchor, split_experts
from balora.adapters.quantized_start import START


class WeightUpdate(NamedTuple):
    """The change s·(B A − B₀ A₀) of one layer, as its factors, with gradient to the trained ones."""

    up: Tensor
    """B, (out_features, r)."""
    down: Tensor
    """A, (r, in_features)."""
    up_start: Tensor | None
    """B₀; None: the start is 0."""
    down_start: Tensor | None
    """A₀."""
    scaling: float
    """s."""


def weight_updates(model: nn.Module) -> Iterator[WeightUpdate]:
    """The change of every adapted layer.

    LoRA-shaped methods: s·(BA − B₀A₀) (DoRA: without its magnitudes; AdaLoRA: with its singular values in A). Bitfit:
    the shift of each bias. Bottlenecks: W_up·W_down. Nothing for full fine-tuning.
    """
    for module in model.modules():
        if isinstance(module, AdaLoraLayer):
            scaling = module.scaling[ADAPTER_NAME] / (module.r[ADAPTER_NAME] + 1e-5)
            down = module.lora_A[ADAPTER_NAME] * module.lora_E[ADAPTER_NAME]
            yield WeightUpdate(module.lora_B[ADAPTER_NAME], down, None, None, scaling)
        elif isinstance(module, LoraLayer) and ADAPTER_NAME in module.lora_A:
            starts = module._modules.get("anchor") or module._modules.get(START)
            start = None if starts is None else starts[ADAPTER_NAME]
            for pair in _pairs(module, start):
                yield WeightUpdate(*pair, module.scaling[ADAPTER_NAME])
        elif isinstance(module, Addition):
            yield from _of_addition(module)


def _pairs(layer: LoraLayer, start: Anchor | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor | None]]:
    """B, A, B₀ and A₀ of a layer, or of every expert of a stack."""
    up, down = layer.lora_B[ADAPTER_NAME].weight, layer.lora_A[ADAPTER_NAME].weight
    if not isinstance(layer, ParamWrapper):
        yield up, down, None if start is None else start.up, None if start is None else start.down
        return
    downs, ups = split_experts(down, up, layer.num_experts)
    for expert in range(layer.num_experts):
        began = (None, None) if start is None else (start.up[expert], start.down[expert])
        yield ups[expert], downs[expert], *began


def _of_addition(module: Addition) -> Iterator[WeightUpdate]:
    if isinstance(module, BiasShift):
        yield WeightUpdate(module.shift[:, None], module.shift.new_ones(1, 1), None, None, 1.0)
    elif isinstance(module, Bottleneck):
        yield WeightUpdate(module.up.weight, module.down.weight, None, None, 1.0)
