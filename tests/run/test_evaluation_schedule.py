"""The section `evaluation` while a run trains: when scores are computed, what is kept, when it stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from balora.errors import RecipeError
from balora.evaluation import keep_predictions, metrics_function
from balora.recipe import parse_recipe
from balora.run import RunResult, train
from balora.training import BALoraTrainer
from tests.run.test_training import recipe_for


def evaluated_steps(folder: Path) -> list[int]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "eval_loss" in line]


def trained(folder: Path, evaluation: dict[str, Any], **training: Any) -> RunResult:
    saved = {"save_strategy": "steps", "save_steps": evaluation["every"]} if "keep_best" in evaluation else {}
    recipe = recipe_for("classification", folder, evaluation=evaluation, training={"max_steps": 6, **saved, **training})
    return train(recipe, show_progress=False)


@pytest.mark.parametrize(("every", "steps"), [(2, [2, 4, 6]), ("epoch", [6]), ("end", [6])])
def test_scores_come_when_they_were_asked_for(every: int | str, steps: list[int], tmp_path: Path) -> None:
    result = trained(tmp_path, {"every": every})
    assert evaluated_steps(result.folder) == steps
    assert "eval_accuracy" in result.metrics


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    """A learning rate that destroys the model after a good start: the end is the best evaluation, not the last."""
    changes = {"learning_rate": 0.5, "lr_scheduler_type": "constant", "max_steps": 4}
    result = trained(tmp_path, {"every": 1, "keep_best": "loss"}, **changes)
    lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    losses = [line["eval_loss"] for line in lines if "eval_loss" in line][:4]
    assert min(losses) < losses[-1]
    assert result.metrics["eval_loss"] == pytest.approx(min(losses), rel=1e-4)


def test_patience_ends_the_run_and_says_so(tmp_path: Path) -> None:
    changes = {"learning_rate": 1e-12, "max_steps": 40}
    result = trained(tmp_path, {"every": 2, "keep_best": "accuracy", "patience": 2}, **changes)
    assert evaluated_steps(result.folder)[-1] == 6
    record = json.loads((result.folder / "run.json").read_text())
    assert any(note.startswith("stopped early, at step 6 of 40: accuracy") for note in record["notes"])


def test_a_resumed_run_counts_its_patience_on(tmp_path: Path) -> None:
    evaluation = {"every": 2, "keep_best": "accuracy", "patience": 3}
    changes = {
        "learning_rate": 1e-12,
        "max_steps": 40,
        "save_total_limit": 10,
        "save_strategy": "steps",
        "save_steps": 2,
    }
    recipe = recipe_for("classification", tmp_path, evaluation=evaluation, training=changes)
    whole = train(recipe, show_progress=False).folder
    assert evaluated_steps(whole)[-1] == 8
    (whole / "adapter_model.safetensors").unlink()
    shutil.rmtree(whole / "checkpoint-8")
    train(recipe, resume=True, show_progress=False)
    assert max(evaluated_steps(whole)) == 8


def test_no_more_than_one_batch_of_logits_is_ever_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original = BALoraTrainer.evaluation_loop

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(self, *args, **kwargs)
        seen.append(output.predictions)
        return output

    monkeypatch.setattr(BALoraTrainer, "evaluation_loop", watched)
    trained(tmp_path, {"every": 3})
    assert seen
    assert all(predictions.ndim == 1 for predictions in seen)


def test_scores_of_kept_predictions_are_those_of_logits() -> None:
    logits, labels = torch.randn(20, 3), torch.randint(0, 3, (20,))
    compute = metrics_function(["accuracy", "f1"], "classification")
    assert compute is not None

    class Given:
        def __init__(self, predictions: Any) -> None:
            self.predictions, self.label_ids = predictions, labels.numpy()

    reduced = keep_predictions("classification")((logits, "states"), labels)
    assert compute(Given(reduced.numpy())) == compute(Given(logits.numpy()))
    numbers = torch.randn(20, 1)
    compute = metrics_function(["pearson"], "regression")
    assert compute is not None
    labels = torch.randn(20)
    both = [compute(Given(each)) for each in (keep_predictions("regression")(numbers, labels).numpy(), numbers.numpy())]
    np.testing.assert_allclose(both[0]["pearson"], both[1]["pearson"])


HEAD = "task: classification\nmodel: {name_or_path: m}\ndata: {train: t.csv, validation: v.csv}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evaluation: {every: 0}", "is 0; expected a number of steps"),
        ("evaluation: {patience: 2}", "patience needs a score"),
        ("evaluation: {every: end, keep_best: loss}", "only one; set every to epoch"),
        ("evaluation: {keep_best: acuracy}", "did you mean 'accuracy'"),
        ("evaluation: {min_improvement: 0.1}", "is for patience"),
        ("evaluation: {every: 5}\ntraining: {eval_steps: 7}", "keep one of the two"),
        ("evaluation: {keep_best: accuracy}\ntraining: {metric_for_best_model: loss}", "keep one of the two"),
        ("training: {save_strategy: best}", "nothing says which score; set evaluation.keep_best"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_read(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_recipe(HEAD + text)


def test_only_the_best_checkpoint_is_saved_by_the_score_that_is_kept(tmp_path: Path) -> None:
    """`evaluation.keep_best` says which score; it need not be said again in the terms of transformers."""
    result = trained(tmp_path, {"every": 2, "keep_best": "accuracy"}, save_strategy="best", learning_rate=1e-12)
    assert [path.name for path in result.folder.glob("checkpoint-*")] == ["checkpoint-2"], "no later one was better"


def test_the_same_thing_said_twice_is_no_conflict() -> None:
    text = (
        "evaluation: {keep_best: accuracy, every: 5}\ntraining: {metric_for_best_model: eval_accuracy, eval_steps: 5}"
    )
    assert parse_recipe(HEAD + text).evaluation.every == 5
