"""Checkpoints of a run: which there are, and which of them are complete."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from balora.artefacts.layout import CHECKPOINT_PREFIX

STATE_OF_TRAINER = "trainer_state.json"
_TORCH_FILES = ("optimizer.pt", "scheduler.pt")
_RANDOM_STATE = "rng_state*.pth"


def list_checkpoints(path: Path) -> list[Path]:
    """The folders checkpoint-N of a run, the newest first."""
    found = [
        folder
        for folder in path.glob(f"{CHECKPOINT_PREFIX}*")
        if folder.is_dir() and folder.name.removeprefix(CHECKPOINT_PREFIX).isdigit()
    ]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written.

    >>> step_of(Path("runs/r/checkpoint-30"))
    30
    """
    return int(checkpoint.name.removeprefix(CHECKPOINT_PREFIX))


def newest_complete(path: Path, weights: str) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that a run can go on from, and why newer ones cannot be used.

    Args:
        path: the run folder.
        weights: the file in a checkpoint that holds what was trained.

    Returns:
        The checkpoint, or None where none is complete; one line for each that was passed over.
    """
    skipped: list[str] = []
    for checkpoint in list_checkpoints(path):
        fault = fault_of(checkpoint, weights)
        if fault is None:
            return checkpoint, skipped
        skipped.append(f"{checkpoint.name} is not complete ({fault})")
    return None, skipped


def set_aside(checkpoint: Path) -> Path:
    """Rename a checkpoint that cannot be used, so that nobody takes it for the newest one; gives its new path.

    transformers keeps the highest step when it removes old checkpoints, whether that one is complete or not.
    """
    target, number = checkpoint.with_name(f"damaged-{checkpoint.name}"), 2
    while target.exists():
        target, number = checkpoint.with_name(f"damaged-{checkpoint.name}-{number}"), number + 1
    return checkpoint.rename(target)


def fault_of(checkpoint: Path, weights: str) -> str | None:
    """What is missing or damaged in a checkpoint; None where it is complete.

    Files are opened and their lengths compared with what they say of themselves; nothing is unpickled.
    """
    try:
        state = json.loads((checkpoint / STATE_OF_TRAINER).read_text(encoding="utf-8"))
        if not isinstance(state, dict) or state.get("global_step") != step_of(checkpoint):
            return f"{STATE_OF_TRAINER} is of another step"
    except FileNotFoundError:
        return f"{STATE_OF_TRAINER} is missing"
    except (OSError, ValueError):
        return f"{STATE_OF_TRAINER} is damaged"
    for name in _weight_files(checkpoint, weights):
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if not is_whole_safetensors(checkpoint / name):
            return f"{name} is damaged"
    random_states = sorted(file.name for file in checkpoint.glob(_RANDOM_STATE)) or [_RANDOM_STATE.replace("*", "")]
    for name in (*_TORCH_FILES, *random_states):
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if not zipfile.is_zipfile(checkpoint / name):
            return f"{name} is damaged"
    return None


def is_whole_safetensors(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > path.stat().st_size:
                return False
            header: dict[str, Any] = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    return path.stat().st_size == 8 + length + max(ends, default=0)


def _weight_files(checkpoint: Path, weights: str) -> list[str]:
    """The file itself, or the shards that its index names."""
    index = checkpoint / f"{weights}.index.json"
    if (checkpoint / weights).exists() or not index.is_file():
        return [weights]
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError):
        return [weights]
