"""Numbers that train are float32, whatever format the frozen weights are in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from peft.utils.other import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.adapters.anchor import ADAPTER_NAME


def train_in_float32(model: PreTrainedModel) -> None:
    """Turn every module that trains in full (a task head, say) to float32, as PEFT does with lora_A and lora_B.

    In 16 bits an update below 1/256 of a weight is lost to rounding. The frozen original of a head goes to float32
    with it, so that student and teacher compute the same at step 0; that of an embedding is large and pretrained, and
    stays. Inputs are turned to float32 on the way in; outputs that frozen layers read go back to the model's format.
    """
    vocabulary = (model.get_input_embeddings(), model.get_output_embeddings())
    for name, wrapper in wrapped_modules(model):
        trained = wrapper.modules_to_save[ADAPTER_NAME]
        if not any(p.is_floating_point() and p.dtype.itemsize < 4 for p in trained.parameters()):
            continue
        keep_original = any(wrapper is module for module in vocabulary)
        in_body = name.startswith(f"{model.base_model_prefix}.")
        for part in (trained,) if keep_original else (trained, wrapper.original_module):
            part.float()
            part.register_forward_pre_hook(take_as_own_format, with_kwargs=True)
            if in_body or keep_original:
                part.register_forward_hook(GiveAs(model.dtype))


def wrapped_modules(model: nn.Module) -> Iterator[tuple[str, ModulesToSaveWrapper]]:
    """Every module that trains in full beside its frozen original, with its name."""
    for name, module in model.named_modules():
        if isinstance(module, ModulesToSaveWrapper) and ADAPTER_NAME in module.modules_to_save:
            yield name, module


def take_as_own_format(
    module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Forward pre-hook: floating inputs in the format of the module's weights."""
    dtype = next(module.parameters()).dtype
    return tuple(_as(value, dtype) for value in inputs), {name: _as(value, dtype) for name, value in named.items()}


@dataclass(frozen=True, slots=True)
class GiveAs:
    """Forward hook: the output in a format that the layers after it take."""

    dtype: torch.dtype

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output, cast where it is a floating tensor."""
        del module, inputs
        return _as(output, self.dtype)


def _as(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
