"""What a cached teacher output depends on, as one hash: the pretrained function and the examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

NOT_THE_TEACHERS = ("lora_", ".anchor.", ".modules_to_save.")
"""Parts of the names of parameters that are the student's alone."""


def teacher_fingerprint(model: nn.Module) -> str:
    """SHA-256 over every weight of the pretrained function, its head included, by name; hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not any(part in name for part in NOT_THE_TEACHERS):
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def examples_fingerprint(rows: Sequence[Mapping[str, Any]], ignored: frozenset[str]) -> str:
    """SHA-256 over what the model reads of every example, in order; hex.

    Labels do not count: runs that differ only in label noise share a cache.
    """
    digest = hashlib.sha256()
    for index in range(len(rows)):
        row = rows[index]
        read = {key: _plain(value) for key, value in row.items() if key not in ignored}
        digest.update(json.dumps(read, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value
