"""The content address of a run: the same for the same resolved recipe, data, base model and measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.artefacts import write_json_atomically
from balora.data.sources import parse_source
from balora.paths import user_path
from balora.recipe import Recipe
from balora.strict_json import read_json

FORMAT = 1
"""Raised when runs that were done before must not count any more."""
DIGITS = 20
"""Hexadecimal digits of SHA-256 that name a run: enough for any number of runs that there will ever be."""

_CHANGES_NOTHING = {"adapter": ("svd_cache",), "regularizers": ("teacher_cache_dir",), "data": ("cache",)}
"""Section -> keys that say where things are kept, not what a run computes."""


class Fingerprints:
    """SHA-256 of files and folders, remembered by path, size and time of change."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        """Take what is known without reading: path -> what stands for its content."""
        self._given = dict(known or {})
        self._remembered: dict[str, list[Any]] = {}

    @classmethod
    def remembered(cls, file: Path) -> Fingerprints:
        """With what an earlier launch wrote down."""
        found = cls()
        try:
            found._remembered = read_json(file)
        except (OSError, ValueError):
            found._remembered = {}
        return found

    def write(self, file: Path) -> None:
        """Write down what was hashed."""
        write_json_atomically(file, self._remembered)

    def know(self, fingerprints: Mapping[str, str]) -> None:
        """Take more paths whose content is known, whether they exist already or not."""
        self._given |= fingerprints

    def of(self, path: Path) -> str | None:
        """The fingerprint of a file, or of all files in a folder; None where there is nothing."""
        given = self._given.get(str(path))
        if given is not None:
            return given
        path = user_path(path)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file, path))
            parts = [f"{file.relative_to(path).as_posix()}:{self._file(file)}" for file in files]
            return hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return self._file(path) if path.is_file() else None

    def _file(self, path: Path) -> str:
        facts = path.stat()
        stamp = [facts.st_size, facts.st_mtime_ns]
        known = self._remembered.get(str(path.absolute()))
        if known is not None and known[:2] == stamp:
            return str(known[2])
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._remembered[str(path.absolute())] = [*stamp, digest]
        return digest


def identity_of(recipe: Recipe, measures: Mapping[str, Any], fingerprints: Fingerprints) -> str:
    """The content address of a run.

    Where things are written, how levels are called, and how a file spells or orders its keys do not matter; a byte of
    the data, a file of the base model, and every setting that shapes the numbers do.

    Args:
        recipe: resolved; files that it names stand for their content.
        measures: what is measured after training.
        fingerprints: of the files.
    """
    content = recipe.model_dump(mode="json", exclude={"output"})
    for section, keys in _CHANGES_NOTHING.items():
        for key in keys:
            content[section].pop(key, None)
    if recipe.data.dataset is None:
        for split in ("train", "validation", "test"):
            content["data"][split] = _source(content["data"][split], fingerprints)
    for key in ("name_or_path", "tokenizer"):
        name = content["model"][key]
        content["model"][key] = (name and fingerprints.of(Path(name))) or name
    calibration = content["adapter"].get("calibration") or {}
    if isinstance(calibration.get("text"), str):
        calibration["text"] = _source(calibration["text"], fingerprints)
    measured = {key: value for key, value in measures.items() if value not in (None, [])}
    text = json.dumps({"format": FORMAT, "recipe": content, "measures": measured}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _source(name: Any, fingerprints: Fingerprints) -> Any:
    if not isinstance(name, str):
        return name
    source = parse_source(name, "data")
    digest = fingerprints.of(Path(source.name))
    return name if digest is None else [digest, name.strip().removeprefix(source.name)]


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
