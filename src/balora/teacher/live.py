"""The teacher without a second model: the same weights with adapters off, in evaluation mode, without gradient."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.adapters import adapters_off
from balora.adapters.switch import modules_of
from balora.errors import ModelError


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
        self.copy = copy.deepcopy(transformers_model(model)).eval().requires_grad_(False)

    def logits(self, model: nn.Module, inputs: Mapping[str, Any], rows: Tensor | None = None) -> Tensor:
        """See `Teacher`."""
        del rows
        self._run_as(transformers_model(model))
        with torch.no_grad():
            result: Tensor = self.copy(**inputs).logits
        return result

    def _run_as(self, student: nn.Module) -> None:
        """Let the copy's forward be the student's: accelerate replaces that one by a forward under autocast.

        Otherwise the two would differ by the rounding of 16 bits before anything is trained.
        """
        forward = vars(student).get("forward")
        if isinstance(forward, MethodType):
            vars(self.copy)["forward"] = MethodType(forward.__func__, self.copy)
        else:
            vars(self.copy).pop("forward", None)


def transformers_model(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside, whatever wraps it.

    Raises:
        ModelError: when there is none.
    """
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            return module
    raise ModelError.at("model", f"{type(model).__name__} holds no transformers model", "pass one, adapted or not")


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
