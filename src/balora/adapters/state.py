"""The trained numbers and their anchors as one file: what resuming needs, exactly."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from balora.adapters.anchor import ADAPTER_NAME
from balora.errors import ModelError

STATE_FILE = "trainable.safetensors"


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Every trainable parameter and every anchor by its full name, detached, on its device."""
    state = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
    anchors = {name: buffer for name, buffer in model.named_buffers() if f".anchor.{ADAPTER_NAME}." in name}
    return state | anchors


def save_trainable_state(model: nn.Module, folder: Path) -> Path:
    """Write `trainable.safetensors` into the folder; gives its path."""
    path = folder / STATE_FILE
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in trainable_state(model).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def load_trainable_state(model: nn.Module, folder: Path) -> None:
    """Put the saved numbers back into a model that was adapted in the same way.

    Raises:
        ModelError: when the file is missing or damaged, or its names or shapes are not the model's.
    """
    path = folder / STATE_FILE
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError.at(path, f"cannot be read: {error}", "resume from another checkpoint") from error
    present = trainable_state(model)
    if saved.keys() != present.keys():
        odd = sorted(saved.keys() ^ present.keys())
        what = f"holds other parameters than the model trains ({len(odd)} differ, first: {odd[0]})"
        raise ModelError.at(path, what, "resume with the recipe that wrote it")
    for name, tensor in saved.items():
        if tensor.shape != present[name].shape:
            what = f"{name} has shape {tuple(tensor.shape)}, the model's is {tuple(present[name].shape)}"
            raise ModelError.at(path, what, "resume with the recipe that wrote it")
    with torch.no_grad():
        for name, tensor in saved.items():
            present[name].copy_(tensor)
