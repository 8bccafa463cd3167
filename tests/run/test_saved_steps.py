"""A run whose checkpoints are gone says so; it never starts again from zero by itself."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from balora.errors import OutputError, StoppedError
from balora.run import train
from tests.run.test_resuming import everything, long_recipe, record_of, signal_at, weights_of

__all__ = ["signal_at"]


@pytest.fixture
def stopped(tmp_path: Path, signal_at: Any) -> Path:
    """The folder of a run with checkpoint-4, stopped by two signals at step 7."""
    signal_at("on_step_begin", 6, signal.SIGINT, times=2)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path, save_strategy="steps", save_steps=2), show_progress=False)
    signal_at.undo()
    return tmp_path / "run"


def test_a_run_that_lost_its_checkpoints_is_not_begun_again(stopped: Path, tmp_path: Path) -> None:
    recipe = long_recipe(tmp_path, save_strategy="steps", save_steps=2)
    for checkpoint in stopped.glob("checkpoint-*"):
        checkpoint.rename(tmp_path / checkpoint.name)
    before = everything(stopped)
    for resume in (True, False):
        with pytest.raises(OutputError, match=r"run\.json: says that checkpoint-6 was written, and .* no checkpoint"):
            train(recipe, resume=resume, show_progress=False)
    assert everything(stopped) == before
    train(long_recipe(tmp_path, "whole"), show_progress=False)
    for checkpoint in tmp_path.glob("checkpoint-*"):
        checkpoint.rename(stopped / checkpoint.name)
    train(recipe, resume=True, show_progress=False)
    assert weights_of(stopped) == weights_of(tmp_path / "whole")


def test_one_that_is_gone_is_named(stopped: Path, tmp_path: Path) -> None:
    shutil.rmtree(stopped / "checkpoint-6")
    result = train(long_recipe(tmp_path, save_strategy="steps", save_steps=2), resume=True, show_progress=False)
    assert result.notes[0] == "checkpoint-6 was written and is gone, so the run goes on from checkpoint-4"
    assert [leg["saved_step"] for leg in record_of(stopped)["legs"]] == [6, 12]
