"""The trained numbers, their anchors or starts, and the frozen heads as one file: what resuming needs, exactly."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from balora.adapters.adalora import STATE_PREFIX, allocator_state, restore_allocator
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.fold import refold
from balora.adapters.precision import wrapped_modules
from balora.adapters.quantized_start import START
from balora.adapters.sharding import put, whole
from balora.errors import ModelError

STATE_FILE = "trainable.safetensors"
_STARTS = (f".anchor.{ADAPTER_NAME}.", f".{START}.{ADAPTER_NAME}.")


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """What trains or belongs to an adapter, every anchor and starting factor, by full name, detached, on its device."""
    state = {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or f".lora_A.{ADAPTER_NAME}" in name
    }
    return state | {name: buffer for name, buffer in model.named_buffers() if any(part in name for part in _STARTS)}


def frozen_heads(model: nn.Module) -> dict[str, Tensor]:
    """The frozen originals of modules that train in full: the teacher's head, which may have started at random."""
    return {
        f"{name}.original_module.{part}": value
        for name, wrapper in wrapped_modules(model)
        for part, value in wrapper.original_module.state_dict().items()
    }


def whole_trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """What `save_trainable_state` writes; where weights are spread over processes, all of them take part."""
    state = trainable_state(model) | frozen_heads(model) | allocator_state(model)
    return {name: whole(tensor) for name, tensor in state.items()}


def save_trainable_state(model: nn.Module, folder: Path, state: dict[str, Tensor] | None = None) -> Path:
    """Write `trainable.safetensors` into the folder; gives its path.

    Args:
        model: adapted.
        folder: where to.
        state: from `whole_trainable_state`, where weights are spread over processes; one of them writes.
    """
    path = folder / STATE_FILE
    state = whole_trainable_state(model) if state is None else state
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in state.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def load_trainable_state(model: nn.Module, folder: Path) -> None:
    """Put the saved numbers back into a model that was adapted in the same way.

    Files of earlier versions hold no frozen heads; the model then keeps its own.

    Raises:
        ModelError: when the file is missing or damaged, or its names or shapes are not the model's.
    """
    path = folder / STATE_FILE
    read = read_state(path)
    saved = {name: value for name, value in read.items() if not name.startswith(STATE_PREFIX)}
    trained, heads = trainable_state(model), frozen_heads(model)
    differing = (saved.keys() ^ trained.keys()) - heads.keys()
    if differing:
        what = f"holds other parameters than the model trains ({len(differing)} differ, first: {min(differing)})"
        raise ModelError.at(path, what, "resume with the recipe that wrote it")
    check_same_residual(trained, saved, path)
    check_shapes(trained | heads, saved, path)
    refold(model, saved)
    copy_into(trained | heads, saved, path)
    restore_allocator(model, {name: value for name, value in read.items() if name.startswith(STATE_PREFIX)})


def check_same_residual(present: dict[str, Tensor], saved: dict[str, Tensor], path: Path) -> None:
    """Refuse a checkpoint whose quantized residual is not the model's: it follows from the factors it started at.

    Raises:
        ModelError: when the factors were computed differently, on another device perhaps.
    """
    for name in present:
        if f".{START}.{ADAPTER_NAME}." in name and not torch.equal(present[name].cpu(), saved[name].cpu()):
            what = f"the principal factors of {name.partition(f'.{START}.')[0]} are not those that the run began with"
            raise ModelError.at(path, what, "resume on the same kind of machine, or set adapter.svd_cache: true")


def load_start(model: nn.Module, folder: Path) -> None:
    """Put the frozen heads of a checkpoint into student and teacher alike: both are as they were at step 0.

    For resuming before the teacher is set up, so that a self-check passes and a table of teacher outputs is the
    original's. `load_trainable_state` follows. Does nothing for files that hold no frozen heads.

    Raises:
        ModelError: when the file is missing or damaged, or shapes are not the model's.
    """
    path = folder / STATE_FILE
    saved, heads = read_state(path), frozen_heads(model)
    starts = {name: value for name, value in saved.items() if name in heads}
    students = {
        f"{name}.original_module.{part}": value
        for name, wrapper in wrapped_modules(model)
        for part, value in wrapper.modules_to_save[ADAPTER_NAME].state_dict().items()
    }
    copy_into(heads, starts, path)
    copy_into(students, starts, path)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state file.

    Raises:
        ModelError: when it is missing or damaged.
    """
    try:
        saved: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError.at(path, f"cannot be read: {error}", "resume from another checkpoint") from error
    return saved


def copy_into(present: dict[str, Tensor], saved: dict[str, Tensor], path: Path) -> None:
    """Copy saved values over the present ones of the same name, all or none.

    Raises:
        ModelError: when a shape differs.
    """
    check_shapes(present, saved, path)
    with torch.no_grad():
        for name, tensor in saved.items():
            put(present[name], tensor)


def check_shapes(present: dict[str, Tensor], saved: dict[str, Tensor], path: Path) -> None:
    """Refuse saved values that do not fit, before anything is copied.

    Raises:
        ModelError: names the first that differs.
    """
    for name, tensor in saved.items():
        if tensor.shape != present[name].shape:
            what = f"{name} has shape {tuple(tensor.shape)}, the model's is {tuple(present[name].shape)}"
            raise ModelError.at(path, what, "resume with the recipe that wrote it")
