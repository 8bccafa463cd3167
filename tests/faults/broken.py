"""Ways to break balora on purpose: a row that still holds then is no test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from balora.artefacts import checkpoints, files, manifest, trouble
from balora.training import checkpointing
from balora.training.callbacks import divergence, stop
from tests.faults.edits import EDITS


@dataclass(frozen=True)
class Breakage:
    """One thing taken away, and the rows that have to notice."""

    rows: tuple[str, ...]
    applied: Callable[[], AbstractContextManager[Any]]


def replaced(owner: Any, **parts: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.multiple(owner, **parts)


def nothing(*args: Any, **options: Any) -> None:
    """In place of what matters."""


@contextlib.contextmanager
def written_in_place() -> Any:
    """No staging: the folder has its name from the beginning, as with the plain Trainer."""

    def begin(path: Path) -> Path:
        path.mkdir(exist_ok=True)
        return path

    with mock.patch.multiple(checkpointing, begin_staged=begin, publish=nothing):
        yield


def removes_first(staged: Path, final: Path) -> None:
    """Rotation before the rename, down to nothing."""
    for folder in checkpoints.list_checkpoints(final.parent):
        files.take_away(folder)
    files.disk.rename(staged, final)


def names_not_synced(staged: Path, final: Path) -> None:
    files.disk.rename(staged, final)


def only_gradients(model: Any, *, gradients: bool) -> dict[str, Any]:
    found = divergence_norms(model, gradients=gradients)
    return {name: value for name, value in found.items() if name == "gradient"}


divergence_norms = divergence.total_norms

BREAKAGES: dict[str, Breakage] = {
    "checkpoints are written in place": Breakage(("R1", "R2"), written_in_place),
    "old checkpoints go before the new one": Breakage(("R2",), replaced(checkpointing, publish=removes_first)),
    "one checkpoint is enough": Breakage(("R2",), lambda: one_is_enough()),
    "files are not synced": Breakage(("R4",), replaced(checkpointing, sync_tree=nothing)),
    "names are not synced": Breakage(("R4",), replaced(checkpointing, publish=names_not_synced)),
    "hashes are not compared": Breakage(("R6",), replaced(manifest, _digest=lambda _path: "0")),
    "sizes alone are compared": Breakage(("R6",), lambda: sizes_alone()),
    "random state is not restored": Breakage(("R1", "R3"), replaced(checkpointing, restore_random_state=nothing)),
    "the optimizer is not restored": Breakage(
        ("R1", "R3"), replaced(checkpointing.CheckpointedTrainer, _load_optimizer_and_scheduler=nothing)
    ),
    "the log window is not restored": Breakage(
        ("R1",), replaced(checkpointing.CheckpointedTrainer, begin_training=nothing)
    ),
    "signals are not caught": Breakage(("R3",), replaced(stop.GracefulStop, on_train_begin=nothing)),
    "evaluations are waited for": Breakage(("R3",), replaced(stop.GracefulStop, _leave_if_asked=nothing)),
    "a full disk is not explained": Breakage(("R5",), lambda: unexplained()),
    "leftovers are not cleared": Breakage(("R2",), lambda: mock.patch("tests.faults.operations.tidy", nothing)),
    "nobody looks at the numbers": Breakage(
        ("R7",), replaced(divergence.DivergenceGuard, on_pre_optimizer_step=nothing)
    ),
    "nobody looks at the weights": Breakage(("R7",), replaced(divergence, total_norms=only_gradients)),
    "every step leaves a file open": Breakage(("R24",), lambda: files_left_open()),
    **{name: Breakage(rows, applied) for name, (rows, applied) in EDITS.items()},
}


@contextlib.contextmanager
def one_is_enough() -> Any:
    real = checkpoints.remove_old

    def remove(path: Path, *, limit: int | None, newest: Path, best: Path | None = None) -> Any:
        return real(path, limit=1, newest=newest, best=best)

    with mock.patch.object(checkpoints, "FEWEST", 1), mock.patch.object(checkpointing, "remove_old", remove):
        yield


@contextlib.contextmanager
def sizes_alone() -> Any:
    real = manifest.fault_in
    with mock.patch.object(checkpoints, "fault_in", lambda folder, **_: real(folder, thoroughly=False)):
        yield


@contextlib.contextmanager
def unexplained() -> Any:
    from balora.cli import failures
    from balora.run import ending, training

    with (
        mock.patch.object(training, "disk_trouble", nothing),
        mock.patch.object(ending, "disk_trouble", nothing),
        mock.patch.object(checkpointing, "disk_trouble", nothing),
        mock.patch.object(failures, "is_full_disk", return_value=False),
        mock.patch.object(trouble, "disk_trouble", nothing),
    ):
        yield


@contextlib.contextmanager
def files_left_open() -> Any:
    def leak(*_: Any, **__: Any) -> None:
        os.open("/dev/null", os.O_RDONLY)

    with mock.patch.object(divergence.DivergenceGuard, "on_step_end", leak):
        yield
