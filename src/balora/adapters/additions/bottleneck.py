"""Bottleneck adapters: down, a non-linearity, up, added to the output of a sub-layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from balora.adapters.additions.addition import Addition
from balora.adapters.settings import AdapterConfig

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU}
)
USUAL_ACTIVATION: Mapping[str, str] = MappingProxyType({"houlsby": "gelu", "pfeiffer": "relu"})
"""Method -> what its authors put into the bottleneck."""


class Bottleneck(Addition):
    """h + W_up f(W_down h + b_down) + b_up, with W_up = 0 and b = 0 at the start: the identity.

    W_down starts as a linear layer of PyTorch does. Works in float32; under autocast in its format.
    """

    def __init__(self, width: int, size: int, activation: str, device: torch.device | None = None) -> None:
        """`width` numbers in and out, `size` in between."""
        super().__init__()
        self.down = nn.Linear(width, size, device=device, dtype=torch.float32)
        self.activation = ACTIVATIONS[activation]()
        self.up = nn.Linear(size, width, device=device, dtype=torch.float32)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def added_to(self, output: Tensor) -> Tensor:
        """The sub-layer's output with the bottleneck's on top."""
        change: Tensor = self.up(self.activation(self.down(output.to(self.down.weight.dtype))))
        return (output + change).to(output.dtype)


def activation_of(config: AdapterConfig) -> str:
    """The function inside, as set or as the method's authors have it."""
    return config.bottleneck_activation or USUAL_ACTIVATION[config.method]
