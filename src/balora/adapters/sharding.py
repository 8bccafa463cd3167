"""Tensors that are spread over processes (FSDP2), made whole to be saved, and spread again when they are put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

_SMALL = ("lora_", ".anchor.", ".modules_to_save.", ".original_module.")
"""Parts of the names of frozen weights that belong to an adapter or its heads."""


def whole(tensor: Tensor) -> Tensor:
    """The full tensor, on the CPU where it was spread; every process has to ask for the same ones in the same order."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def put(target: Tensor, value: Tensor) -> None:
    """Copy a whole value into a tensor, of which this process may hold a part."""
    target.copy_(like(target, value))


def like(target: Tensor, value: Tensor) -> Tensor:
    """A whole value spread as another tensor is; nothing is sent, as every process has the value."""
    if not isinstance(target, DTensor):
        return value
    placed = value.to(target.to_local().device)
    return distribute_tensor(placed, target.device_mesh, target.placements, src_data_rank=None)


def whole_state(model: nn.Module, *, adapter_only: bool) -> dict[str, Tensor]:
    """The state of a model, every tensor whole; all processes take part.

    Args:
        model: spread over processes.
        adapter_only: leave out frozen weights that no adapter has added: they are the pretrained model's.
    """
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    state = model.state_dict()
    kept = {
        name: value
        for name, value in state.items()
        if not adapter_only or name not in frozen or any(part in name for part in _SMALL)
    }
    return {name: whole(value) for name, value in kept.items()}


def whole_nested(state: Any) -> Any:
    """Nested state, such as an optimizer's, with every tensor whole; all processes take part."""
    if isinstance(state, Tensor):
        return whole(state)
    if isinstance(state, Mapping):
        return {key: whole_nested(value) for key, value in state.items()}
    return type(state)(whole_nested(value) for value in state) if isinstance(state, list | tuple) else state


def spread_optimizer_state(state: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole state of an optimizer, spread as its parameters are.

    Args:
        state: from `Optimizer.state_dict`, made whole.
        groups: the optimizer's `param_groups`.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    spread = {
        index: {
            name: like(parameters[index], value)
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in entry.items()
        }
        for index, entry in state["state"].items()
    }
    return {**state, "state": spread}
