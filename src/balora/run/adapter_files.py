"""Whether the tensors of a saved adapter belong to a base model, before it is loaded and after."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.artefacts.layout import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from balora.errors import ModelError, Problem
from balora.strict_json import read_json

SHOWN = 3
_PREFIX = "base_model.model."
_ANOTHER_BASE = "name the model it was trained on with --model"
_AGAIN = "save or copy the adapter again"
_NARROWED = ("exclude_modules", "layers_to_transform", "layers_pattern", "target_parameters")
"""Settings of PEFT that leave out some of the layers that a target names."""


def check_adapter_files(folder: Path, empty: PreTrainedModel, base: str) -> None:
    """Refuse an adapter whose tensors do not belong to the base, are not all there, or hold no numbers.

    PEFT itself loads such an adapter with a warning, or with a dump of all sizes.

    Args:
        folder: where the adapter lies; `balora.models.check_adapter` has found its configuration to be one.
        empty: the base with its head; it may be on the meta device.
        base: what messages call the base.

    Raises:
        ModelError: with every problem, the first few of a kind.
    """
    file = folder / ADAPTER_WEIGHTS
    config = read_json(folder / ADAPTER_CONFIG)
    try:
        with safe_open(file, framework="pt") as weights:
            tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        said = " ".join(str(error).split())[:120]
        raise ModelError.at(file, f"is no whole safetensors file ({said})", _AGAIN) from None
    problems: list[Problem] = []
    for found in (
        _not_finite(file, tensors),
        _of_another_base(file, tensors, empty, base),
        _incomplete(file, tensors, config, empty),
    ):
        every = list(found)
        problems += every[:SHOWN]
        if len(every) > SHOWN:
            problems.append(Problem(str(file), f"{len(every)} tensors in all are like that", every[0].fix))
    if problems:
        raise ModelError(problems)


def check_every_weight_is_used(folder: Path, model: nn.Module) -> None:
    """Refuse an adapter some of whose weights its configuration leaves out, or the other way round.

    `check_adapter_files` compares the file with the base; which layers PEFT adapts, it alone knows.

    Args:
        folder: where the adapter lies.
        model: the base with the adapter on it, as PEFT loads it.

    Raises:
        ModelError: names the first layers.
    """
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as weights:
        saved = {_layer_of(name) for name in weights.keys() if ".lora_A" in name}  # noqa: SIM118 - no mapping
    held = {_layer_of(name) for name, _ in model.named_parameters() if ".lora_A" in name}
    strangers = sorted(saved ^ held)
    if strangers:
        what = f"{len(strangers)} layers are adapted by {ADAPTER_WEIGHTS} or by {ADAPTER_CONFIG} alone"
        fix = f"{_AGAIN}, or {_ANOTHER_BASE}"
        raise ModelError.at(folder, f"{what} (first: {', '.join(strangers[:SHOWN])})", fix)


def _layer_of(name: str) -> str:
    return name.split(".lora_A")[0].removeprefix(_PREFIX)


def _not_finite(file: Path, tensors: Mapping[str, torch.Tensor]) -> Iterator[Problem]:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            what = f"'{name}' holds {count} numbers that are not finite"
            yield Problem(str(file), what, "use an earlier checkpoint of the run")


def _of_another_base(
    file: Path, tensors: Mapping[str, torch.Tensor], empty: PreTrainedModel, base: str
) -> Iterator[Problem]:
    sides = {
        name: (module.out_features, module.in_features) if isinstance(module, nn.Linear) else (module.nf, module.nx)
        for name, module in empty.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    modules = {name for name, _ in empty.named_modules()}
    shapes = {name: tuple(parameter.shape) for name, parameter in empty.named_parameters()}
    for key, tensor in tensors.items():
        name = key.removeprefix(_PREFIX)
        layer, dot, part = name.partition(".lora_")
        if not dot:
            if name in shapes and tuple(tensor.shape) != shapes[name]:
                what = f"'{name}' is {_side(tensor.shape)}, in '{base}' {_side(shapes[name])}"
                yield Problem(str(file), what, _ANOTHER_BASE)
        elif layer not in modules:
            if "experts" not in layer and not layer.endswith("base_layer"):
                yield Problem(str(file), f"'{base}' has no layer '{layer}'", _ANOTHER_BASE)
        elif layer in sides and part in ("A.weight", "B.weight"):
            out, into = sides[layer]
            own, wanted = (tensor.shape[-1], into) if part == "A.weight" else (tensor.shape[0], out)
            if own != wanted:
                what = f"'{layer}' was adapted with a side of {own}, in '{base}' it has {wanted}"
                yield Problem(str(file), what, _ANOTHER_BASE)


def _incomplete(
    file: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], empty: PreTrainedModel
) -> Iterator[Problem]:
    pairs = {"lora_A.weight": "lora_B.weight", "lora_B.weight": "lora_A.weight"}
    for key in tensors:
        ending = next((ending for ending in pairs if key.endswith(ending)), None)
        if ending and key.removesuffix(ending) + pairs[ending] not in tensors:
            yield Problem(str(file), f"'{key.removesuffix(ending)}{pairs[ending]}' is missing", _AGAIN)
    rank, own_ranks = config.get("r"), config.get("rank_pattern") or {}
    for key, tensor in tensors.items():
        plain = isinstance(rank, int) and not own_ranks and "experts" not in key
        if plain and key.endswith("lora_A.weight") and tensor.shape[0] != rank:
            yield Problem(str(file), f"'{key}' has rank {tensor.shape[0]}, {ADAPTER_CONFIG} says {rank}", _AGAIN)
    lora = any(".lora_A." in key for key in tensors)
    if config.get("peft_type") != "LORA" or (lora and any(config.get(name) for name in _NARROWED)):
        return
    whole = set(config.get("modules_to_save") or [])
    for name, module in empty.named_modules():
        if whole.intersection(name.split(".")):  # trained in full, so that PEFT adapts nothing in it
            continue
        if isinstance(module, nn.Linear | Conv1D) and _is_target(name, config.get("target_modules")):
            half = f"{_PREFIX}{name}.lora_"
            if f"{half}A.weight" not in tensors and f"{half}B.weight" not in tensors:
                yield Problem(str(file), f"holds nothing for '{name}', which {ADAPTER_CONFIG} names", _AGAIN)


def _is_target(name: str, targets: object) -> bool:
    """Whether PEFT would adapt this layer."""
    if isinstance(targets, list):
        return any(name == target or name.endswith(f".{target}") for target in targets if isinstance(target, str))
    if not isinstance(targets, str) or targets == "all-linear":
        return False
    try:
        return re.fullmatch(targets, name) is not None
    except re.error:
        return False


def _side(shape: tuple[int, ...] | torch.Size) -> str:
    return "×".join(map(str, shape)) or "a single number"
