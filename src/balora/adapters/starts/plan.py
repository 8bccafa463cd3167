"""What a start has to say: the rank of each layer, and its factors once the layer is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.calibration import Calibration
from balora.adapters.factors import Factors
from balora.adapters.settings import AdapterConfig
from balora.errors import ModelError

LayerFactors = Callable[[str, Tensor, float], Factors]
"""Layer name in the pretrained model, its weight (out_features, in_features), the adapter's scaling -> factors."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a start is computed from; the model has no adapter yet."""

    model: PreTrainedModel
    layers: tuple[str, ...]
    """Full names of the layers that get an adapter."""
    config: AdapterConfig
    calibration: Calibration | None


@dataclass(frozen=True, slots=True)
class Start:
    """Where the factors of every layer begin."""

    factors: LayerFactors
    ranks: Mapping[str, int] = field(default_factory=dict)
    """Layers whose rank is not r; 0 takes the adapter away."""


def factors_by_peft(weight: Tensor, rank: int, scaling: float, config: LoraConfig, **prepared: object) -> Factors:
    """The factors that PEFT's own initialisation gives a linear layer with this weight.

    It runs on a float32 copy in the layout of `nn.Linear`, which PEFT changes in place of the base; so transposed
    (GPT-2) and unpacked weights start as any other.

    Args:
        weight: (out_features, in_features).
        rank: r of this layer.
        scaling: s; PEFT divides by it.
        config: with `init_lora_weights` and what belongs to it.
        prepared: attributes that PEFT's preprocessing leaves on a layer.
    """
    copied = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    copied.weight = nn.Parameter(weight.detach().float().clone(), requires_grad=False)
    vars(copied).update(prepared)
    # Making the layer draws numbers that the start then replaces.
    with torch.random.fork_rng(devices=[]):
        layer = LoraLinear(copied, ADAPTER_NAME, config, r=rank, lora_alpha=scaling * rank)
    down, up = layer.lora_A[ADAPTER_NAME].weight, layer.lora_B[ADAPTER_NAME].weight
    return Factors(down=down.detach().float(), up=up.detach().float())


@contextmanager
def unchanged_layers(model: PreTrainedModel, layers: tuple[str, ...]) -> Iterator[dict[str, nn.Module]]:
    """Give the layers by name; afterwards take away whatever attributes, hooks and flags a preprocessing left."""
    found = {name: model.get_submodule(name) for name in layers}
    before = {name: (set(vars(layer)), _hooks_of(layer)) for name, layer in found.items()}
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    training = model.training
    try:
        yield found
    finally:
        for name, layer in found.items():
            attributes, hooks = before[name]
            for attribute in set(vars(layer)) - attributes:
                del vars(layer)[attribute]
            for present, kept in zip(_hook_tables(layer), hooks, strict=True):
                for key in [key for key in present if key not in kept]:
                    del present[key]
        for parameter, required in flags:
            parameter.requires_grad_(required)
        model.train(training)


def _hook_tables(layer: nn.Module) -> list[dict[int, object]]:
    return [vars(layer)["_forward_hooks"], vars(layer)["_backward_hooks"], vars(layer)["_forward_pre_hooks"]]


def _hooks_of(layer: nn.Module) -> list[set[int]]:
    return [set(table) for table in _hook_tables(layer)]


def refuse_quantized(setting: Setting, method: str) -> None:
    """Stop where a start needs the weights as numbers and they are packed.

    Raises:
        ModelError: names the first such layer.
    """
    for name in setting.layers:
        weight = setting.model.get_submodule(name).weight
        if not weight.is_floating_point() or type(weight).__name__ in ("Params4bit", "Int8Params"):
            what = f"{method} needs weights in 16 or 32 bits, and {name} is quantized"
            raise ModelError.at("adapter.method", what, "load the model without quantization, or use pissa or lora")
