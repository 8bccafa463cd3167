"""Whether a file that says it is a run's record has the shape of one: what was edited or damaged is told by its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from balora.artefacts.layout import RUN_RECORD
from balora.errors import Problem
from balora.strict_json import read_json

_TEXT, _WHOLE, _NUMBER, _TEXT_OR_NONE = (str,), (int,), (int, float, type(None)), (str, type(None))
_MAP, _MAP_OR_NONE, _LIST = (dict,), (dict, type(None)), (list,)
_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}

_SOURCE = {"where": _TEXT, "sha256": _TEXT_OR_NONE, "rows": (int, type(None)), "revision": _TEXT_OR_NONE}
_SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "": {
        "status": _TEXT,
        "command": _TEXT,
        "started_at": _TEXT,
        "versions": _MAP,
        "hardware": _MAP,
        "source_commit": _TEXT_OR_NONE,
        "model": _MAP,
        "data": _MAP,
        "seeds": _MAP,
        "notes": _LIST,
        "legs": _LIST,
        "train_seconds": _NUMBER,
        "peak_cpu_gib": _NUMBER,
        "peak_gpu_gib": _NUMBER,
        "results": _MAP,
        "failure": _TEXT_OR_NONE,
        "files": _MAP,
    },
    "model": {"commit": _TEXT_OR_NONE, "base": _MAP_OR_NONE, "parameters": _MAP},
    "model.base": {"name_or_path": _TEXT, "weights_sha256": _TEXT_OR_NONE},
    "model.parameters": dict.fromkeys(("adapter", "head", "total"), (int, float)),
    "data": {
        "train": _MAP_OR_NONE,
        "validation": _MAP_OR_NONE,
        "test": _MAP_OR_NONE,
        "label_names": (list, type(None)),
        "fingerprint": _TEXT,
        "calibration": _MAP_OR_NONE,
    },
    **{f"data.{split}": _SOURCE for split in ("train", "validation", "test")},
}
_LEG = {"from_step": _WHOLE, "saved_step": _WHOLE, "versions": _MAP, "hardware": _MAP, "differences": _LIST}
_DIFFERENCE = {"where": _TEXT, "what": _TEXT}
_REQUIRED = {f"data.{split}": ("where",) for split in ("train", "validation", "test")}
_FIX = "put the file back as the run wrote it"


def checked_record(folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The record in a run folder, and what is wrong with it; empty where anything is.

    Keys that only a later version writes may be absent, and keys that are not known are left alone.
    """
    path = folder / RUN_RECORD
    try:
        found = read_json(path)
    except FileNotFoundError:
        return {}, [Problem(str(path), "is missing", _FIX)]
    except OSError as error:
        return {}, [Problem(str(path), f"cannot be read ({error.strerror or error})", "check the path and permissions")]
    except ValueError as error:
        said = " ".join(str(error).split())[:120]
        return {}, [Problem(str(path), f"is damaged: it is no JSON ({said})", _FIX)]
    problems = [Problem(str(path), what, _FIX) for what in _faults(found)]
    return ({}, problems) if problems else (found, [])


def _faults(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield f"is {_kind(document)}, expected a mapping"
        return
    for section, shape in _SHAPES.items():
        part: Any = document
        for name in section.split(".") if section else ():
            part = part.get(name) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping) and part:
            yield from _wrong_types(part, shape, section, _REQUIRED.get(section, ()))
    if not document:
        yield "is an empty mapping, expected the record of a run"
    yield from _wrong_items(document.get("legs"), _LEG, "legs")
    legs = document.get("legs")
    for number, leg in enumerate(legs if isinstance(legs, list) else []):
        if isinstance(leg, Mapping):
            yield from _wrong_items(leg.get("differences"), _DIFFERENCE, f"legs[{number}].differences", required=True)
    files = document.get("files")
    for name, entry in files.items() if isinstance(files, dict) else ():
        yield from _wrong_items([entry], {"size": _WHOLE}, f"files.{name}", required=True)
        if isinstance(entry, dict) and not any(isinstance(entry.get(key), str) for key in ("sha256", "tensors_sha256")):
            yield f"'files.{name}' has no SHA-256, expected a text 'sha256' or 'tensors_sha256'"
    data = document.get("data")
    names = data.get("label_names") if isinstance(data, Mapping) else None
    if isinstance(names, list) and not all(isinstance(name, str) for name in names):
        yield "'data.label_names' holds something that is no text, expected the names of the classes"


def _wrong_items(
    items: Any, shape: Mapping[str, tuple[type, ...]], key: str, *, required: bool = False
) -> Iterator[str]:
    for number, item in enumerate(items if isinstance(items, list) else []):
        if not isinstance(item, dict):
            yield f"'{key}[{number}]' is {_kind(item)}, expected a mapping"
        else:
            yield from _wrong_types(item, shape, f"{key}[{number}]", tuple(shape) if required else ())


def _wrong_types(
    part: Mapping[str, Any], shape: Mapping[str, tuple[type, ...]], section: str, required: tuple[str, ...]
) -> Iterator[str]:
    for name, kinds in shape.items():
        key = f"{section}.{name}" if section else name
        expected = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds if kind is not int or float not in kinds))
        if name not in part:
            if name in required:
                yield f"'{key}' is missing, expected {expected}"
        elif type(part[name]) not in kinds:
            yield f"'{key}' is {_kind(part[name])}, expected {expected}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return f"{value!r:.60}"
    return _WORDS.get(type(value), type(value).__name__)
