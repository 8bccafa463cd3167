"""Turn adapters off for a while: what is left is the pretrained model, bitwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Run the pretrained model inside the block: adapters off, task heads at their start.

    Unlike PEFT's `disable_adapter` it gives every parameter its own `requires_grad` back, so that what was frozen
    stays frozen. Gradients already recorded are not affected.

    Raises:
        ValueError: when the model has no adapter to turn off.
    """
    switches = [module for module in model.modules() if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper)]
    if not switches:
        raise ValueError("the model has no adapter to turn off")
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for switch in switches:
        switch.enable_adapters(False)
    try:
        yield
    finally:
        for switch in switches:
            switch.enable_adapters(True)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])
