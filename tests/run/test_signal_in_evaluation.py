"""A signal does not wait for an evaluation, and the run that goes on evaluates what was left, as if never stopped."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from balora.artefacts import list_checkpoints
from balora.errors import StoppedError
from balora.recipe import Recipe
from balora.run import train, training
from balora.training.left_evaluation import lines_before_evaluation
from balora.training.process_state import evaluation_left
from tests.run.test_resuming import logged, weights_of
from tests.run.test_training import recipe_for

BATCHES = 6
EVERY_TWO = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
PER_EPOCH = {"eval_strategy": "epoch", "save_strategy": "epoch"}


def recipe(folder: Path, run: str, changes: dict[str, Any], evaluation: dict[str, Any] | None = None) -> Recipe:
    """Two epochs of six steps on a model with dropout; an evaluation has six batches."""
    settings = {"max_steps": -1, "num_train_epochs": 2, "logging_steps": 1, "learning_rate": 1e-3, **changes}
    sections = {"training": settings, "evaluation": {"batch_size": 4, **(evaluation or {})}}
    dropout = {"dropout": 0.2}
    return recipe_for("classification", folder, adapter=dropout, output={"dir": str(folder / run)}, **sections)


class Batches(TrainerCallback):
    """Counts the batches of a step's evaluations, and sends a signal after one of them."""

    def __init__(self, step: int, batch: int) -> None:
        self.step, self.batch, self.seen = step, batch, 0

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            self.seen += 1
            if self.seen == self.batch:
                signal.raise_signal(signal.SIGTERM)


class Step(TrainerCallback):
    """Sends a signal at the end of a step, before anything is logged, evaluated or saved."""

    def __init__(self, step: int) -> None:
        self.step, self.seen = step, 0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step - 1:
            signal.raise_signal(signal.SIGTERM)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seen += 1


class DiesAfter(TrainerCallback):
    """Ends the process, as it were, once a step is evaluated."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise RuntimeError("killed")


def stopped(recipe: Recipe, callback: TrainerCallback, *, resume: bool = False) -> None:
    with pytest.MonkeyPatch.context() as patch:
        original = training.make_trainer

        def make(*args: Any, **kwargs: Any) -> Any:
            trainer = original(*args, **kwargs)
            trainer.add_callback(callback)
            return trainer

        patch.setattr(training, "make_trainer", make)
        with pytest.raises((StoppedError, RuntimeError), match=r"--resume goes on from|killed"):
            train(recipe, resume=resume, show_progress=False)


def state_files(folder: Path) -> dict[str, bytes]:
    newest = list_checkpoints(folder)[0]
    names = ("trainable.safetensors", "optimizer.safetensors", "optimizer.json", "scheduler.json")
    return {f"{newest.name}/{name}": (newest / name).read_bytes() for name in names}


def check_equal(folder: Path, step: int = 0) -> None:
    assert weights_of(folder / "run") == weights_of(folder / "whole")
    assert logged(folder / "run") == logged(folder / "whole")
    results = [json.loads((folder / run / "all_results.json").read_text()) for run in ("run", "whole")]
    ours, theirs = ({k: v for k, v in each.items() if k.startswith("eval_")} for each in results)
    if step == 12:
        assert results[0]["train_loss"] == pytest.approx(results[1]["train_loss"])
    clocks = ("runtime", "per_second")
    assert {k: v for k, v in ours.items() if not k.endswith(clocks)} == {
        k: v for k, v in theirs.items() if not k.endswith(clocks)
    }


CASES: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "the best is kept": (4, {**EVERY_TWO, "learning_rate": 0.1}, {"keep_best": "loss"}),
    "the best is kept, and not here": (2, {**EVERY_TWO, "save_steps": 4, "learning_rate": 0.1}, {"keep_best": "loss"}),
    "only the best is saved": (
        4,
        {**EVERY_TWO, "save_strategy": "best", "metric_for_best_model": "loss"},
        {"keep_best": "loss"},
    ),
    "an epoch's evaluation and log": (6, {**PER_EPOCH, "logging_strategy": "epoch"}, {}),
    "an epoch's last step": (6, {**EVERY_TWO, "logging_strategy": "epoch"}, {}),
    "the last step": (12, EVERY_TWO, {}),
    "the last epoch": (12, PER_EPOCH, {"keep_best": "loss"}),
    "the last step in an epoch": (8, {**EVERY_TWO, "max_steps": 8, "save_steps": 4}, {"keep_best": "loss"}),
    "patience ends it": (6, {**EVERY_TWO, "learning_rate": 1e-12}, {"keep_best": "accuracy", "patience": 2}),
    "the schedule looks at the score": (
        4,
        {**EVERY_TWO, "lr_scheduler_type": "reduce_lr_on_plateau", "metric_for_best_model": "loss"},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_evaluation_is_left_and_made_up_for(case: str, tmp_path: Path) -> None:
    step, changes, evaluation = CASES[case]
    train(recipe(tmp_path, "whole", changes, evaluation), show_progress=False)
    run, batches = recipe(tmp_path, "run", changes, evaluation), Batches(step, 2)
    stopped(run, batches)
    assert batches.seen <= 3 < BATCHES, "it did not wait for the evaluation"
    saved = tmp_path / "run" / f"checkpoint-{step}"
    assert evaluation_left(saved)
    assert not [line for line in logged(tmp_path / "run") if line["step"] == step and "eval_loss" in line]
    train(run, resume=True, show_progress=False)
    check_equal(tmp_path, step)
    if changes["save_strategy"] != "best" and step % changes.get("save_steps", 1) == 0:
        assert state_files(tmp_path / "run") == state_files(tmp_path / "whole")
        assert not evaluation_left(list_checkpoints(tmp_path / "run")[0])


@pytest.mark.parametrize(("step", "changes"), [(6, PER_EPOCH), (6, EVERY_TWO), (4, EVERY_TWO)])
def test_a_signal_in_the_step_before_does_not_begin_the_evaluation(
    step: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    train(recipe(tmp_path, "whole", changes), show_progress=False)
    run, callback = recipe(tmp_path, "run", changes), Step(step)
    earlier = BATCHES * (step // 2 - 1) if changes is EVERY_TWO else BATCHES * (step // 6 - 1)
    stopped(run, callback)
    assert callback.seen == earlier
    train(run, resume=True, show_progress=False)
    check_equal(tmp_path)


def test_an_evaluation_may_be_left_twice_and_a_line_never_comes_twice(tmp_path: Path) -> None:
    changes = {**EVERY_TWO, "save_steps": 4}
    train(recipe(tmp_path, "whole", changes), show_progress=False)
    run = recipe(tmp_path, "run", changes)
    stopped(run, Batches(6, 1))
    assert lines_before_evaluation(tmp_path / "run" / "checkpoint-6") == 1
    stopped(run, Batches(6, 3), resume=True)
    stopped(run, DiesAfter(6), resume=True)
    assert any("eval_loss" in line and line["step"] == 6 for line in logged(tmp_path / "run"))
    train(run, resume=True, show_progress=False)
    check_equal(tmp_path)
