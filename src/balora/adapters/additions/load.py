"""Bottlenecks from disk onto a pretrained model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from balora.adapters.additions.addition import add_to, has_additions
from balora.adapters.additions.blocks import width_of
from balora.adapters.additions.bottleneck import ACTIVATIONS, Bottleneck
from balora.adapters.additions.save import BOTTLENECK_CONFIG, BOTTLENECK_WEIGHTS
from balora.errors import ModelError
from balora.strict_json import read_json

_AGAIN = "load the folder of a finished run, onto the model that it was trained on"


def load_bottlenecks(model: PreTrainedModel, folder: str | os.PathLike[str]) -> PreTrainedModel:
    """Put the saved bottlenecks and task head of a houlsby or pfeiffer run on a pretrained model, for inference.

    Args:
        model: the base that the run started from, loaded with the same number of labels.
        folder: a run folder, or wherever `save_pretrained` wrote to.

    Returns:
        The model itself, frozen, in evaluation mode.

    Raises:
        ModelError: the files are missing or damaged, or belong to another model.

    Example:
        >>> from transformers import AutoModelForCausalLM  # doctest: +SKIP
        >>> model = load_bottlenecks(AutoModelForCausalLM.from_pretrained("base"), "runs/mine")  # doctest: +SKIP
    """
    path = Path(folder)
    described, tensors = _read(path)
    if has_additions(model):
        raise ModelError.at("model", "it has an adapter already", "load the base model once more")
    if described["model_type"] != model.config.model_type:
        what = f"is for architecture '{described['model_type']}', the model is '{model.config.model_type}'"
        raise ModelError.at(path / BOTTLENECK_CONFIG, what, _AGAIN)
    present = dict(model.named_modules())
    missing = [name for name in described["sublayers"] if name not in present]
    if missing:
        raise ModelError.at(path / BOTTLENECK_CONFIG, f"the model has no module '{missing[0]}'", _AGAIN)
    for name in described["sublayers"]:
        device = next(present[name].parameters()).device
        addition = Bottleneck(width_of(model), described["bottleneck"], described["activation"], device)
        add_to(present[name], addition)
    state = model.state_dict()
    for name, value in tensors.items():
        if name not in state or state[name].shape != value.shape:
            found = "has no such parameter" if name not in state else f"has shape {tuple(state[name].shape)}"
            what = f"holds {name} of shape {tuple(value.shape)}, and the model {found}"
            raise ModelError.at(path / BOTTLENECK_WEIGHTS, what, _AGAIN)
    with torch.no_grad():
        for name, value in tensors.items():
            state[name].copy_(value)
    return model.requires_grad_(False).eval()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        described = read_json(path / BOTTLENECK_CONFIG)
        tensors: dict[str, torch.Tensor] = load_file(path / BOTTLENECK_WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError.at(path, f"holds no bottlenecks that can be read ({error})", _AGAIN) from error
    needed = {"model_type", "bottleneck", "activation", "sublayers"}
    if not isinstance(described, dict) or not needed <= described.keys() or described["activation"] not in ACTIVATIONS:
        raise ModelError.at(path / BOTTLENECK_CONFIG, "is not a description of bottlenecks", _AGAIN)
    return described, tensors
