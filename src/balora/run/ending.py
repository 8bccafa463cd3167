"""How a run ends that does not finish: what is true of its folder then, and how it can go on."""

from __future__ import annotations

import signal
from pathlib import Path

from balora.artefacts import disk_trouble, holds_nothing_but_a_start, newest_complete, step_of
from balora.errors import BaloraError, DivergedError, StoppedError
from balora.recipe import Recipe
from balora.run.beginning import checkpoint_weights


def explained(error: BaseException, folder: Path, recipe: Recipe) -> BaseException:
    """What to end with: an interruption or a disk that gives out with what is true of this folder, else the error."""
    if _is_stop(error):
        return stopped(error, folder, recipe)
    if not isinstance(error, Exception):
        return error
    last, _ = newest_complete(folder, checkpoint_weights(recipe))
    if isinstance(error, DivergedError):
        return diverged(error, last)
    if isinstance(error, BaloraError):
        return error
    trouble = disk_trouble(error, folder, what="the run", last_good=None if last is None else last.name)
    return error if trouble is None else trouble


def stopped(error: BaseException, folder: Path, recipe: Recipe) -> StoppedError:
    """The interruption with what is true of this folder: how the run can go on."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        number = signal.Signals(error.code - 128)
    else:
        number = getattr(error, "number", signal.SIGINT)
    checkpoint, _ = newest_complete(folder, checkpoint_weights(recipe))
    if checkpoint is not None:
        advice = f"stopped; the same command with --resume goes on from step {step_of(checkpoint)}"
    elif holds_nothing_but_a_start(folder):
        advice = "stopped before there was a checkpoint; the same command starts again"
    else:
        advice = "stopped, and there is no complete checkpoint to go on from; start again in another folder"
    return StoppedError(number, advice)


def diverged(error: DivergedError, last: Path | None) -> DivergedError:
    """The divergence with what can be done in this folder."""
    if last is None:
        return DivergedError(f"{error}; there is nothing to go on from, so start again in another folder")
    return DivergedError(f"{error}; with that change the same command and --resume-anyway goes on from {last.name}")


def status_of(error: BaseException) -> str:
    """The status that `run.json` gives such a run."""
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if _is_stop(error) else "failed"


def _is_stop(error: BaseException) -> bool:
    """Whether a signal ended the run; an exit with any other code is somebody else's, and no signal."""
    codes = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in codes)
