"""`manifest.json`: size and SHA-256 of every file of a checkpoint, written last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from balora.artefacts.files import write_into_staged
from balora.regular_files import read_regular
from balora.strict_json import LARGEST_BYTES, parse_json

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a checkpoint."""

    size: int
    """Bytes."""
    sha256: str
    """Of its content, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint holds."""

    step: int
    """Optimiser steps done."""
    resumable: bool
    """Whether it holds more than the model: optimizer, schedule, random state."""
    processes: int
    """How many processes trained."""
    sharded: bool
    """Whether optimizer and weights are in a format of DeepSpeed or FSDP1, which contains pickles."""
    files: dict[str, FileEntry]
    """By path inside the checkpoint, with slashes."""

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(entry.size for entry in self.files.values())


def write_manifest(folder: Path, *, step: int, resumable: bool, processes: int = 1, sharded: bool = False) -> Manifest:
    """Describe every file in a staged folder; gives what was written."""
    files = {name: _entry(folder / name) for name in _names(folder) if name != MANIFEST}
    manifest = Manifest(step, resumable, processes, sharded, files)
    write_into_staged(folder / MANIFEST, _rendered(manifest))
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a checkpoint; None where it is missing or not exactly what `write_manifest` wrote."""
    try:
        content = read_regular(folder / MANIFEST, LARGEST_BYTES)
        document: dict[str, Any] = parse_json(content)
        files = {name: FileEntry(**entry) for name, entry in document["files"].items()}
        names = ("step", "resumable", "processes", "sharded")
        manifest = Manifest(**{name: document[name] for name in names}, files=files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if content == _rendered(manifest) else None


def fault_in(folder: Path, *, thoroughly: bool = True) -> str | None:
    """Which file of a checkpoint is missing or is not what was written; None where all are as they were.

    Args:
        folder: the checkpoint.
        thoroughly: read every byte, rather than compare sizes.
    """
    if not (folder / MANIFEST).is_file():
        return f"{MANIFEST} is missing"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"{MANIFEST} is damaged"
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != entry.size:
                return f"{name} is damaged: {path.stat().st_size} bytes instead of {entry.size}"
            if thoroughly and _digest(path) != entry.sha256:
                return f"{name} is damaged: its content has changed"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}"
    return None


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _entry(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rendered(manifest: Manifest) -> bytes:
    """The one way in which a manifest is written; its own hash tells when it was changed."""
    document = {"format": FORMAT, **asdict(manifest)}
    own = hashlib.sha256(json.dumps(document, sort_keys=True).encode("utf-8")).hexdigest()
    return (json.dumps({**document, "sha256": own}, indent=2, sort_keys=True) + "\n").encode("utf-8")
