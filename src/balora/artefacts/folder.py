"""The run folder: made once, never over something that is there."""

from __future__ import annotations

import os
from pathlib import Path

from balora.artefacts.layout import CHECKPOINT_PREFIX
from balora.errors import OutputError


def check_free(path: Path) -> None:
    """Refuse a run folder that holds anything, or that cannot be made; writes nothing.

    Raises:
        OutputError: the path is a file, a folder with content, or lies under something that cannot be written.
    """
    if path.is_file() or (path.is_symlink() and not path.exists()):
        raise OutputError.at("output.dir", f"'{path}' is a file", "name a folder that does not exist yet")
    if path.is_dir() and any(path.iterdir()):
        what = f"'{path}' already holds files, and nothing is ever overwritten"
        fix = "continue it with --resume, or set output.dir to another folder"
        raise OutputError.at("output.dir", what, fix)
    parent = next(ancestor for ancestor in (path, *path.absolute().parents) if ancestor.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError.at("output.dir", f"'{parent}' cannot be written", "set output.dir to another folder")


def check_resumable(path: Path) -> Path:
    """The newest checkpoint of an interrupted run.

    Raises:
        OutputError: there is no such folder, or it holds no checkpoint.
    """
    if not path.is_dir():
        raise OutputError.at("output.dir", f"there is no run folder '{path}' to resume", "start without --resume")
    checkpoints = sorted(list_checkpoints(path), key=lambda folder: int(folder.name.removeprefix(CHECKPOINT_PREFIX)))
    if not checkpoints:
        what = f"'{path}' holds no checkpoint to resume from"
        raise OutputError.at("output.dir", what, "start again in another folder")
    return checkpoints[-1]


def list_checkpoints(path: Path) -> list[Path]:
    """The folders checkpoint-N of a run, in no particular order."""
    return [
        folder
        for folder in path.glob(f"{CHECKPOINT_PREFIX}*")
        if folder.is_dir() and folder.name.removeprefix(CHECKPOINT_PREFIX).isdigit()
    ]


def make_run_folder(path: Path) -> Path:
    """Make the folder, checking again that it is free; gives its path.

    Raises:
        OutputError: as `check_free`.
    """
    check_free(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"'{path}' cannot be made: {error.strerror}"
        raise OutputError.at("output.dir", what, "set output.dir to another folder") from error
    return path
