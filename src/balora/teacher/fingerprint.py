"""What a cached teacher output depends on, as one hash: the pretrained function, the examples, and how they meet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from balora.strict_json import parse_json
from balora.teacher.live import transformers_model

NOT_THE_TEACHERS = ("lora_", ".anchor.", ".modules_to_save.")
"""Parts of the names of parameters that are the student's alone."""

NOT_READ_BY_THE_FORWARD = ("_name_or_path", "transformers_version", "architectures", "id2label", "label2id")
"""Entries of a configuration that say where a model comes from and how its outputs are called."""


def teacher_fingerprint(model: nn.Module) -> str:
    """SHA-256 over the pretrained function: class, configuration, and every weight by name, its head included; hex."""
    base = transformers_model(model)
    digest = hashlib.sha256(f"{type(base).__name__}:{forward_settings(base.config)}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        if not any(part in name for part in NOT_THE_TEACHERS):
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def forward_settings(config: PretrainedConfig) -> str:
    """What the forward may read of a configuration, as JSON."""
    values = parse_json(config.to_json_string(use_diff=False))
    return json.dumps({key: value for key, value in values.items() if key not in NOT_READ_BY_THE_FORWARD})


def precision_fingerprint(model: nn.Module) -> str:
    """In which number format the forward runs: that of the parameters, and autocast around or inside the model."""
    base = transformers_model(model)
    device = base.device.type
    around = str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else "off"
    # accelerate replaces the forward by one under autocast when it prepares a model.
    inside = "forward" in vars(base)
    formats = sorted({str(parameter.dtype) for parameter in base.parameters()})
    return f"{formats}:autocast {around}:replaced forward {inside}"


def example_fingerprint(row: Mapping[str, Any], ignored: frozenset[str]) -> str:
    """SHA-256 over what the model reads of one example; hex."""
    read = {key: value for key, value in row.items() if key not in ignored}
    return hashlib.sha256(json.dumps(read, sort_keys=True, default=_plain).encode()).hexdigest()


def collation_fingerprint(
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    examples: list[Mapping[str, Any]],
    ignored: frozenset[str],
) -> str:
    """SHA-256 over the batch that the collator makes of some examples: padding, its side, masks; hex."""
    return example_fingerprint(collate(examples), ignored)


def combined(fingerprints: Iterable[str]) -> str:
    """One fingerprint of several, in order."""
    return hashlib.sha256(":".join(fingerprints).encode()).hexdigest()


def tensor_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, of any format."""
    if type(tensor).__module__.startswith("torchao."):
        # Its weights are several tensors in one; what they stand for decides what the teacher computes.
        tensor = tensor.dequantize()
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _plain(value: Any) -> Any:
    """Lists of whole arrays; their text would leave out the middle of long ones."""
    return value.tolist() if isinstance(value, Tensor) else np.asarray(value).tolist()
