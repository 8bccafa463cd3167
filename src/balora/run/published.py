"""The files that a finished run hands out: hashed when they are written, compared when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from balora.artefacts import read_record
from balora.artefacts.layout import ADAPTER_CONFIG
from balora.artefacts.manifest import read_manifest
from balora.evaluation.results import file_sha256
from balora.models import LARGE_BYTES, contents_sha256

_WEIGHTS = (".safetensors", ".safetensors.index.json")
_DIGITS = 12
_WHOLE, _TENSORS = "sha256", "tensors_sha256"


def published_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> size in bytes and SHA-256 of the weights in a run folder and of the adapter's configuration.

    Of a file above 256 MiB the hash is that of its tensors, which `BALORA_CACHE` keeps until the file is touched.
    """
    chosen = [path for path in sorted(folder.iterdir()) if _is_published(path.name) and path.is_file()]
    return {path.name: _described(path) for path in chosen}


def changed_files(folder: Path) -> list[str]:
    """One warning for each file of a finished run, or of a checkpoint, that is not what the run wrote.

    Nothing for folders of others, and for runs that began before this was recorded. A file may have been changed on
    purpose, so nothing is refused.
    """
    recorded = _recorded(folder).items()
    return [_warning(folder / name, entry) for name, entry in recorded if not _is_as(folder / name, entry)]


def _recorded(folder: Path) -> dict[str, dict[str, Any]]:
    manifest = read_manifest(folder)
    if manifest is None:
        files: dict[str, dict[str, Any]] = read_record(folder).get("files", {})
        return files
    kept = {name: {"size": entry.size, _WHOLE: entry.sha256} for name, entry in manifest.files.items()}
    return {name: entry for name, entry in kept.items() if "/" not in name and _is_published(name)}


def _is_published(name: str) -> bool:
    return name.endswith(_WEIGHTS) or name == ADAPTER_CONFIG


def _described(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > LARGE_BYTES and path.suffix == ".safetensors":
        return {"size": size, _TENSORS: contents_sha256(path)}
    return {"size": size, _WHOLE: file_sha256(path)}


def _is_as(path: Path, entry: dict[str, Any]) -> bool:
    try:
        if path.stat().st_size != entry["size"]:
            return False
        if _TENSORS in entry:
            return contents_sha256(path) == str(entry[_TENSORS])
        return file_sha256(path) == str(entry[_WHOLE])
    except FileNotFoundError:
        return True  # whether it is needed is for others to say
    except (OSError, ValueError):
        return False


def _warning(path: Path, entry: dict[str, Any]) -> str:
    key = _TENSORS if _TENSORS in entry else _WHOLE
    try:
        found = _described(path)
        now = f"{found['size']} bytes, {str(found.get(key))[:_DIGITS]}"
    except (OSError, ValueError):
        now = "no whole file"
    then = f"{entry['size']} bytes, {str(entry[key])[:_DIGITS]}"
    return (
        f"'{path}' is not the file that the run wrote (SHA-256 of {then} then, {now} now): it is damaged, or was "
        "changed on purpose; what follows is of the file as it is"
    )
