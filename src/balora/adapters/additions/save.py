"""Additions on disk: bitfit as a PEFT adapter, bottlenecks as files of balora's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.additions.addition import CHILD, named_additions
from balora.adapters.additions.bitfit import BiasShift
from balora.adapters.additions.bottleneck import activation_of
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.precision import wrapped_modules
from balora.adapters.settings import AdapterConfig

BOTTLENECK_WEIGHTS = "bottlenecks.safetensors"
BOTTLENECK_CONFIG = "bottlenecks.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."


def save_shifts(
    model: PreTrainedModel,
    config: AdapterConfig,
    save_directory: str | os.PathLike[str],
    state_dict: Mapping[str, Tensor] | None = None,
    **options: Any,
) -> None:
    """Write bitfit as a PEFT adapter that stock PEFT loads: the biases b₀ + δ beside a LoRA that is 0.

    PEFT has no bitfit, but a LoRA with `bias: all` sets every bias it finds in the file. The LoRA itself is of rank 1
    on one layer and zero, so it changes nothing.
    """
    del config
    if options.get("is_main_process") is False:
        return
    folder = _made(save_directory)
    state = model.state_dict() if state_dict is None else state_dict
    carrier = next(name for name, layer in _carriers(model))
    tensors = {}
    for name, addition in named_additions(model):
        if isinstance(addition, BiasShift):
            bias = model.get_submodule(name).bias
            assert isinstance(bias, Tensor)
            between = ".base_layer" if name == carrier else ""
            shift = state[f"{name}.{CHILD}.shift"]
            tensors[f"{PEFT_PREFIX}{name}{between}.bias"] = bias.float() + shift.to(bias.device)
    layer = model.get_submodule(carrier)
    inputs, outputs = _shape(layer)
    tensors[f"{PEFT_PREFIX}{carrier}.lora_A.weight"] = torch.zeros(1, inputs)
    tensors[f"{PEFT_PREFIX}{carrier}.lora_B.weight"] = torch.zeros(outputs, 1)
    tensors |= {f"{PEFT_PREFIX}{name}": value for name, value in trained_modules(model, state).items()}
    _write(folder / PEFT_WEIGHTS, tensors)
    classifies = type(model).__name__.endswith("ForSequenceClassification")
    generates = TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM
    described = LoraConfig(
        r=1,
        lora_alpha=1,
        target_modules=[carrier],
        modules_to_save=[name for name, _ in wrapped_modules(model)] or None,
        bias="all",
        fan_in_fan_out=isinstance(layer, Conv1D),
        task_type=TaskType.SEQ_CLS if classifies else generates,
        base_model_name_or_path=model.name_or_path or None,
        inference_mode=True,
    )
    described.save_pretrained(str(folder))


def save_bottlenecks(
    model: PreTrainedModel,
    config: AdapterConfig,
    save_directory: str | os.PathLike[str],
    state_dict: Mapping[str, Tensor] | None = None,
    **options: Any,
) -> None:
    """Write bottlenecks.safetensors and bottlenecks.json; `balora.load_bottlenecks` reads them, no other library does.

    `adapters` of AdapterHub has bottlenecks too, but needs transformers 4 and reads files of its own.
    """
    if options.get("is_main_process") is False:
        return
    folder = _made(save_directory)
    state = model.state_dict() if state_dict is None else state_dict
    names = [name for name, _ in named_additions(model)]
    tensors = {
        f"{name}.{CHILD}.{part}": state[f"{name}.{CHILD}.{part}"]
        for name, addition in named_additions(model)
        for part in addition.state_dict()
    }
    tensors |= trained_modules(model, state)
    _write(folder / BOTTLENECK_WEIGHTS, tensors)
    described = {
        "format": 1,
        "balora_version": version("balora"),
        "method": config.method,
        "base_model_name_or_path": model.name_or_path or None,
        "model_type": model.config.model_type,
        "bottleneck": config.bottleneck,
        "activation": activation_of(config),
        "sublayers": names,
        "modules_to_save": [name for name, _ in wrapped_modules(model)],
    }
    (folder / BOTTLENECK_CONFIG).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def trained_modules(model: PreTrainedModel, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The modules that train in full, under the names that they have in the pretrained model."""
    return {
        f"{name}.{part}": state[f"{name}.modules_to_save.{ADAPTER_NAME}.{part}"]
        for name, wrapper in wrapped_modules(model)
        for part in wrapper.modules_to_save[ADAPTER_NAME].state_dict()
    }


def _carriers(model: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    """Layers of the body that PEFT can put a LoRA on."""
    heads = tuple(f"{name}." for name, _ in wrapped_modules(model))
    return [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and any(part.isdigit() for part in name.split("."))
        if not f"{name}.".startswith(heads or ("\0",))
    ]


def _shape(layer: nn.Module) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    assert isinstance(layer, Conv1D)
    return int(layer.nx), int(layer.nf)


def _made(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    save_file(copies, path, metadata={"format": "pt"})
