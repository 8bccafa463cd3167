"""The best weights are found wherever the folder lies, and never replaced by others without a word."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from balora.errors import OutputError, StoppedError
from balora.recipe import Recipe
from balora.run import train
from tests.run.test_resuming import everything, long_recipe, record_of, signal_at, weights_of

__all__ = ["signal_at"]


def best_recipe(folder: Path, run: str = "run", rate: float = 1e-3) -> Recipe:
    changes = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    recipe = long_recipe(folder, run, learning_rate=rate, load_best_model_at_end=True, **changes)
    # With a falling score the first evaluation stays the best one.
    training = {**recipe.training, "metric_for_best_model": "loss", "greater_is_better": True}
    return Recipe.model_validate(recipe.model_dump() | {"training": training})


@pytest.fixture
def stopped(tmp_path: Path, signal_at: Any) -> Path:
    """The folder of a run stopped after step 8 of 12, whose best checkpoint is an early one."""
    signal_at("on_step_begin", 7, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(best_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    return tmp_path / "run"


def best_of(folder: Path, step: int) -> Path:
    state = json.loads((folder / f"checkpoint-{step}" / "trainer_state.json").read_text())
    assert state["best_global_step"] < step
    return folder / f"checkpoint-{state['best_global_step']}"


@pytest.mark.parametrize("at_the_end", [False, True], ids=["in the middle", "after the last step"])
def test_the_best_is_found_after_a_move(at_the_end: bool, stopped: Path, tmp_path: Path) -> None:
    train(best_recipe(tmp_path, "whole"), show_progress=False)
    if at_the_end:
        train(best_recipe(tmp_path), resume=True, show_progress=False)
        (stopped / "adapter_model.safetensors").unlink()
        (stopped / "run.json").write_text(json.dumps({**record_of(stopped), "status": "running"}))
    stopped.rename(tmp_path / "moved")
    train(best_recipe(tmp_path, "moved"), resume=True, show_progress=False)
    assert weights_of(tmp_path / "moved") == weights_of(tmp_path / "whole")


@pytest.mark.parametrize("fault", ["gone", "damaged"])
def test_a_best_checkpoint_that_is_gone_is_told(fault: str, stopped: Path, tmp_path: Path) -> None:
    best = best_of(stopped, 8)
    shutil.rmtree(best) if fault == "gone" else (best / "trainable.safetensors").write_bytes(b"x")
    before = everything(stopped)
    with pytest.raises(OutputError, match=rf"{best.name}: held the best weights so far \(score"):
        train(best_recipe(tmp_path), resume=True, show_progress=False)
    assert everything(stopped) == before
    result = train(best_recipe(tmp_path), resume_anyway=True, show_progress=False)
    assert any(f"{best.name}: held the best weights" in note for note in result.notes)
    assert record_of(stopped)["legs"][-1]["differences"][0]["where"] == best.name
    assert "held the best weights" in (stopped / "README.md").read_text()
    last = json.loads((stopped / "checkpoint-12" / "trainer_state.json").read_text())
    assert last["best_global_step"] == 8, "the best of what was evaluated after, beginning with what the signal left"
    assert weights_of(stopped) == weights_of(stopped / "checkpoint-8")
