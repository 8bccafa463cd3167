"""The base of what is added to a layer's output: a child module of the layer, called by a forward hook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

CHILD = "addition"
"""Under which name a layer holds its addition; the layer's own names stay as they are."""


class Addition(nn.Module):
    """Adds something to a layer's output, and nothing while it is turned off.

    The pretrained layer keeps its place, its class and its weights; so nothing in the model has to know of it, and
    with additions off the model computes bitwise what it computed before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._disable_adapters = False

    @property
    def disable_adapters(self) -> bool:
        """Whether it is turned off; the name is PEFT's, so that one switch turns both off."""
        return self._disable_adapters

    def added_to(self, output: Tensor) -> Tensor:
        """The output with the addition."""
        raise NotImplementedError

    def forward(self, output: Tensor) -> Tensor:
        """`added_to`, or the output itself while turned off."""
        return output if self._disable_adapters else self.added_to(output)

    def hook(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """Forward hook of the layer; of several outputs the first is the hidden state."""
        del layer, inputs
        if self._disable_adapters:
            return output
        if isinstance(output, tuple):
            return (self(output[0]), *output[1:])
        return self(output)


def add_to(layer: nn.Module, addition: Addition) -> None:
    """Make an addition the layer's child and let it act on the layer's output."""
    layer.add_module(CHILD, addition)
    layer.register_forward_hook(addition.hook)


def named_additions(model: nn.Module) -> Iterator[tuple[str, Addition]]:
    """Every addition, with the name of the layer that it belongs to."""
    for name, module in model.named_modules():
        if isinstance(module, Addition):
            yield name.removesuffix(f".{CHILD}"), module


def has_additions(model: nn.Module) -> bool:
    """Whether there is any."""
    return any(isinstance(module, Addition) for module in model.modules())
