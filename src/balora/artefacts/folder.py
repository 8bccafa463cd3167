"""The run folder: made once, never over something that is there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from balora.artefacts.checkpoints import list_checkpoints
from balora.artefacts.confined import check_name, check_no_links
from balora.artefacts.files import leftovers
from balora.artefacts.layout import (
    CORRUPTED,
    OWNER,
    QUANTIZATION,
    RECIPE_AS_GIVEN,
    RECIPE_RESOLVED,
    RUN_RECORD,
    STEP_METRICS,
)
from balora.artefacts.record import read_record, saved_step
from balora.errors import OutputError

WRITTEN_BEFORE_THE_FIRST_CHECKPOINT = frozenset(
    {CORRUPTED, OWNER, QUANTIZATION, RECIPE_AS_GIVEN, RECIPE_RESOLVED, RUN_RECORD, STEP_METRICS}
)
_ELSEWHERE = "set output.dir to another folder"


def check_free(path: Path) -> None:
    """Refuse a run folder that holds anything, or that cannot be made; leaves no trace.

    What a run left that ended before its first checkpoint is no result, and may be replaced.

    Raises:
        OutputError: the path is a file, a folder with content or with links out of it, has an odd name, or lies under
            something that cannot be written.
    """
    check_name(path)
    try:
        if path.is_file() or (path.is_symlink() and not path.exists()):
            raise OutputError.at("output.dir", f"'{path}' is a file", "name a folder that does not exist yet")
        if path.is_dir() and any(path.iterdir()) and not holds_nothing_but_a_start(path):
            without = lost_checkpoints(path) or diverged_start(path)
            if without is not None:
                raise without
            what = f"'{path}' already holds files, and nothing is ever overwritten"
            raise OutputError.at("output.dir", what, f"continue it with --resume, or {_ELSEWHERE}")
        check_no_links(path)
        parent = next(ancestor for ancestor in (path, *path.absolute().parents) if ancestor.exists())
        # Permissions do not tell it all: a file system may be read-only, full of rules, or no place for files at all.
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        what = f"'{path}' cannot be written ({error.strerror or error})"
        raise OutputError.at("output.dir", what, _ELSEWHERE) from error


def holds_nothing_but_a_start(path: Path) -> bool:
    """Whether a folder holds only what a run wrote that ended before it had a checkpoint or a result."""
    if _strangers(path):
        return False
    record = read_record(path)
    return record.get("status") in {"running", "interrupted", "failed"} and not saved_step(record)


def _strangers(path: Path) -> set[str]:
    """What a folder holds that no mere start of a run writes."""
    left = {entry.name for entry in leftovers(path)}
    return {entry.name for entry in path.iterdir()} - left - WRITTEN_BEFORE_THE_FIRST_CHECKPOINT


def lost_checkpoints(path: Path) -> OutputError | None:
    """The refusal where an unfinished run wrote checkpoints and not one is left; None where that is not so."""
    record = read_record(path)
    step = saved_step(record)
    if not step or record.get("status") == "finished" or list_checkpoints(path):
        return None
    what = (
        f"says that checkpoint-{step} was written, and '{path}' holds no checkpoint; a run never starts again from zero"
    )
    return OutputError.at(
        path / RUN_RECORD,
        f"{what} by itself",
        f"put its checkpoint folders back and continue with --resume, or {_ELSEWHERE}",
    )


def diverged_start(path: Path) -> OutputError | None:
    """The refusal where a run diverged before its first checkpoint; None where that is not so."""
    if read_record(path).get("status") != "diverged" or _strangers(path):
        return None
    what = f"the run in '{path}' diverged before its first checkpoint, so there is nothing to go on from"
    return OutputError.at("output.dir", what, f"{_ELSEWHERE}, or delete this one: {STEP_METRICS} may tell why")


def make_run_folder(path: Path) -> Path:
    """Make the folder, checking again that it is free; gives its path. What is in it stays: see `take_over`.

    Raises:
        OutputError: as `check_free`.
    """
    check_free(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.at("output.dir", f"'{path}' cannot be made: {error.strerror}", _ELSEWHERE) from error
    return path


def take_over(path: Path) -> None:
    """Remove what an earlier start logged, for a process that holds the folder with `sole_use`.

    Before it held the folder another process may have begun there, or even ended, so it is looked at once more.

    Raises:
        OutputError: as `check_free`.
    """
    check_free(path)
    for name in (STEP_METRICS, CORRUPTED):
        (path / name).unlink(missing_ok=True)
