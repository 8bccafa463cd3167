"""The teacher without a second model: the same weights with adapters off, in evaluation mode, without gradient."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from balora.adapters import adapters_off
from balora.adapters.switch import modules_of


class Teacher(Protocol):
    """Where reference outputs come from."""

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """The pretrained model's logits for a batch.

        Args:
            model: the student as the training loop holds it (wrapped for several devices, perhaps).
            inputs: what the student's forward gets.
            rows: the examples' indices in the training split, (N,), for teachers that computed them before.

        Returns:
            Same shape as the student's logits, without gradient.
        """
        ...


class LiveTeacher:
    """Adapters off on every batch; nothing is stored and nothing is loaded twice."""

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`."""
        del rows
        with torch.no_grad(), evaluation_mode(model), adapters_off(model):
            result: Tensor = model(**inputs).logits
        return result


class UntrainedTeacher:
    """The model itself while it is still untrained: what a probe of a fully trainable model looks at."""

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`."""
        del rows
        with torch.no_grad(), evaluation_mode(model):
            result: Tensor = model(**inputs).logits
        return result


class FrozenCopyTeacher:
    """A frozen copy of the model as it is now: for full fine-tuning, which has no adapter to turn off."""

    def __init__(self, model: nn.Module) -> None:
        self.copy = copy.deepcopy(model).eval().requires_grad_(False)

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`."""
        del model, rows
        with torch.no_grad():
            result: Tensor = self.copy(**inputs).logits
        return result


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Dropout off inside the block; afterwards every module is in the mode it was in."""
    # Written past nn.Module.__setattr__, which costs more than everything else here on a large model.
    training = [vars(module) for module in modules_of(model) if module.training]
    for attributes in training:
        attributes["training"] = False
    try:
        yield
    finally:
        for attributes in training:
            attributes["training"] = True
