"""The language-model head: which weights student and teacher multiply their states by, frozen or trained."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from peft.utils.other import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.adapters import taken_off_base
from balora.adapters.anchor import ADAPTER_NAME, AnchoredVariant, anchored_delta

SOFT_CAP = "final_logit_softcapping"
"""Where transformers keeps the bound that a model puts on its logits."""

Linear = tuple[Tensor, Tensor | None]
"""Weight (V, d) and bias (V,)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one model as its forward calls it."""

    module: nn.Module
    """A linear layer; or PEFT's wrapper around one that trains in full or through an adapter."""

    @property
    def trained(self) -> bool:
        """Whether training moves it away from its start."""
        return any(parameter.requires_grad for parameter in self.module.parameters())

    @property
    def adapted(self) -> bool:
        """Whether it trains through a low-rank adapter."""
        return isinstance(self.module, LoraLayer)

    @property
    def width(self) -> int:
        """The hidden size d."""
        return int(self.start()[0].shape[1])

    def student(self) -> Linear:
        """The head as it is now; differentiable where it is trained."""
        if isinstance(self.module, ModulesToSaveWrapper):
            return _linear(self.module.modules_to_save[ADAPTER_NAME])
        if not isinstance(self.module, LoraLayer):
            return _linear(self.module)
        weight, bias = _linear(self.module.get_base_layer())
        if isinstance(self.module.lora_variant.get(ADAPTER_NAME), AnchoredVariant):
            return weight + anchored_delta(self.module, ADAPTER_NAME).to(weight.dtype), bias
        return weight + self.module.get_delta_weight(ADAPTER_NAME).to(weight.dtype), bias

    def start(self) -> Linear:
        """The frozen head under an adapter, or beside a copy that trains; else the head itself."""
        if isinstance(self.module, ModulesToSaveWrapper):
            return _linear(self.module.original_module)
        if not isinstance(self.module, LoraLayer):
            return _linear(self.module)
        weight, bias = _linear(self.module.get_base_layer())
        return weight + taken_off_base(self.module).to(weight.dtype), bias


def _linear(module: nn.Module) -> Linear:
    assert isinstance(module, nn.Linear)
    return module.weight, module.bias


def find_head(base: PreTrainedModel) -> tuple[Head | None, str]:
    """The head of a model whose logits are a product of states and one weight, or None and why there is none."""
    module = base.get_output_embeddings()
    parts: list[nn.Module | None] = [module]
    if isinstance(module, ModulesToSaveWrapper) and ADAPTER_NAME in module.modules_to_save:
        parts = [module.original_module, module.modules_to_save[ADAPTER_NAME]]
    elif isinstance(module, LoraLayer) and ADAPTER_NAME in module.lora_A:
        if module.use_dora.get(ADAPTER_NAME) or not isinstance(module.lora_dropout[ADAPTER_NAME], nn.Identity):
            return None, "its head has an adapter with magnitudes or dropout"
        if module.lora_bias.get(ADAPTER_NAME):
            return None, "its head has an adapter with a bias"
        parts = [module.get_base_layer()]
    if module is None or any(type(part) is not nn.Linear for part in parts):
        return None, "its head is not a plain linear layer"
    return Head(module), ""


def soft_cap_of(base: PreTrainedModel) -> float | None:
    """The c of a model that bounds its logits to c·tanh(z/c)."""
    cap = base.config.to_dict().get(SOFT_CAP)
    return float(cap) if cap else None


@contextmanager
def headless(base: PreTrainedModel) -> Iterator[None]:
    """Inside the block the model's `logits` are the states that would enter its head, without bounds.

    Factors that the model applies after its head act on the states instead, which is the same by linearity.
    """
    module: nn.Module = base.get_output_embeddings()
    attributes, config = vars(module), vars(base.config)
    before, cap = attributes.get("forward"), config.get(SOFT_CAP)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # Hooks on a head act on logits: what they do shows in the comparison of logits with head times states.
    hooks, attributes["_forward_hooks"] = attributes["_forward_hooks"], OrderedDict()
    attributes["forward"] = lambda states: _Reaching.apply(states, *trained) if trained else states  # type: ignore[no-untyped-call]
    if cap:
        config[SOFT_CAP] = None
    try:
        yield
    finally:
        del attributes["forward"]
        attributes["_forward_hooks"] = hooks
        if before is not None:
            attributes["forward"] = before
        if cap:
            config[SOFT_CAP] = cap


class _Reaching(torch.autograd.Function):
    """The states as they are, in a graph that reaches the trained head.

    Training on several devices marks parameters that a forward does not reach as unused and refuses the gradient that
    the loss gives them later.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, *trained: Tensor) -> Tensor:
        ctx.trained = len(trained)
        return states.view_as(states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], *[None] * ctx.trained


def product_type(states: torch.dtype, weight: torch.dtype, autocast: torch.dtype | None) -> torch.dtype:
    """What products with the head run in: the autocast type, else the wider of states and weight."""
    return autocast or torch.promote_types(states, weight)
