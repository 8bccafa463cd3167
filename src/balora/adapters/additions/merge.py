"""Merging: bitfit's shifts go into the biases; bottlenecks cannot go into any weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from balora.adapters.additions.addition import CHILD, named_additions
from balora.adapters.additions.bitfit import BiasShift
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.precision import wrapped_modules
from balora.errors import ModelError


def merge_shifts(model: PreTrainedModel) -> PreTrainedModel:
    """The model with its biases shifted for good and its trained modules in place; nothing of ours is left on it."""
    with torch.no_grad():
        for name, addition in list(named_additions(model)):
            layer = model.get_submodule(name)
            assert isinstance(addition, BiasShift)
            assert isinstance(layer.bias, Tensor)
            layer.bias += addition.shift.to(layer.bias.dtype)
            hooks = vars(layer)["_forward_hooks"]
            for key in [key for key, hook in hooks.items() if getattr(hook, "__self__", None) is addition]:
                del hooks[key]
            delattr(layer, CHILD)
    for name, wrapper in list(wrapped_modules(model)):
        model.set_submodule(name, wrapper.modules_to_save[ADAPTER_NAME])
    vars(model).pop("save_pretrained", None)
    for method in ("merge_and_unload", "merge_adapter"):
        vars(model).pop(method, None)
    return model


def refuse_merging(*args: Any, **options: Any) -> None:
    """In place of merging bottlenecks.

    Raises:
        ModelError: always.
    """
    del args, options
    what = "bottlenecks are not linear, so no weight can take them up"
    raise ModelError.at("merge", what, "keep them as they are (balora.load_bottlenecks), or train lora or pissa")
