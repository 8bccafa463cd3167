"""Nested state as JSON and safetensors, exactly, in place of a pickle."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from balora.artefacts.files import write_into_staged
from balora.strict_json import read_json

_TENSOR, _PAIRS, _TUPLE, _FLOAT = "$tensor", "$pairs", "$tuple", "$float"
_MARKS = {_TENSOR, _PAIRS, _TUPLE, _FLOAT}


class NotPlainError(TypeError):
    """Something in a state is neither a number, text, a tensor nor a collection of them."""


def save_plain(folder: Path, name: str, state: Any) -> None:
    """Write `<name>.json`, and `<name>.safetensors` where the state holds tensors, into a staged folder.

    Args:
        folder: where to.
        name: of the files, without ending.
        state: dictionaries, lists and tuples of tensors, numbers, text, truth values and None.

    Raises:
        NotPlainError: anything else is in it; the message says where.
    """
    tensors: dict[str, Tensor] = {}
    document = _to_plain(state, name, tensors)
    if tensors:
        write_into_staged(folder / f"{name}.safetensors", save(tensors))
    write_into_staged(folder / f"{name}.json", (json.dumps(document, allow_nan=False) + "\n").encode("utf-8"))


def load_plain(folder: Path, name: str) -> Any:
    """What `save_plain` wrote: the same types, values and bits, with tensors on the CPU."""
    document = read_json(folder / f"{name}.json")
    path = folder / f"{name}.safetensors"
    tensors = load(path.read_bytes()) if path.exists() else {}
    return _from_plain(document, tensors)


def tensors_in(state: Any) -> list[Tensor]:
    """Every tensor of a nested state."""
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def _to_plain(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        if type(value) not in (Tensor, torch.nn.Parameter) or value.is_sparse:
            raise NotPlainError(f"{place} is a {type(value).__name__}, which no plain file holds")
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {_TENSOR: key}
    if value is None or isinstance(value, bool | str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {_FLOAT: str(value)}
    if type(value) is int:
        return value
    if isinstance(value, dict):
        if all(type(key) is str for key in value) and not _MARKS & value.keys():
            return {key: _to_plain(part, f"{place}.{key}", tensors) for key, part in value.items()}
        pairs = [[_to_plain(k, place, tensors), _to_plain(v, f"{place}.{k}", tensors)] for k, v in value.items()]
        return {_PAIRS: pairs}
    if type(value) in (list, tuple):
        parts = [_to_plain(part, f"{place}.{index}", tensors) for index, part in enumerate(value)]
        return parts if isinstance(value, list) else {_TUPLE: parts}
    raise NotPlainError(f"{place} is a {type(value).__name__}, which no plain file holds")


def _from_plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_from_plain(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_TENSOR}:
        return tensors[value[_TENSOR]]
    if value.keys() == {_PAIRS}:
        return {_from_plain(key, tensors): _from_plain(part, tensors) for key, part in value[_PAIRS]}
    if value.keys() == {_TUPLE}:
        return tuple(_from_plain(part, tensors) for part in value[_TUPLE])
    if value.keys() == {_FLOAT}:
        return float(value[_FLOAT])
    return {key: _from_plain(part, tensors) for key, part in value.items()}
