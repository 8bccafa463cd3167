"""What a report says of settings is true in each case: shared, set by an axis, tuned and by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from balora.report.fairness import fairness
from balora.study import StudyResults
from balora.study.choices import choices
from tests.support.studies import noisy, study, write_run

AXES = {"method": ["LoRA", "BA"], "task": ["CoLA", "RTE"], "rank": ["4", "8"]}
TUNED = {"by": "lab.validation_accuracy", "split": "the lab's validation split", "tries": 3, "seeds": 2, "per": None}


def made(folder: Path, rate: Callable[[Mapping[str, str]], str], **changes: Any) -> StudyResults:
    results = study(AXES, noisy({"LoRA": 0.8, "BA": 0.9}), folder=folder, seeds=[0], **{"tuned": (), **changes})
    for run in results.runs:
        assert run.folder is not None
        write_run(run.folder)
        (run.folder / "recipe.resolved.yaml").write_text(f"training:\n  learning_rate: {rate(run.levels)}\n")
    return results


def said(results: StudyResults) -> list[str]:
    return [f"{each.tone}: {each.text}" for each in fairness(results, choices(results))]


def test_one_rate_is_shared(tmp_path: Path) -> None:
    (told,) = said(made(tmp_path, lambda levels: "1e-4" if levels["rank"] == "4" else "1.0e-4"))
    assert told.startswith("warning: This is a comparison at one shared learning rate, 1e-4. The rate that suits one")


def test_a_rate_by_the_compared_axis_is_not_shared(tmp_path: Path) -> None:
    (told,) = said(made(tmp_path, lambda levels: "1e-4" if levels["method"] == "BA" else "3e-4"))
    assert told.endswith("the study file sets the learning rate of each method (LoRA 3e-4, BA 1e-4).")


def test_a_rate_by_another_axis_is_shared_at_each_of_its_levels(tmp_path: Path) -> None:
    (told,) = said(made(tmp_path, lambda levels: "1e-4" if levels["task"] == "RTE" else "3e-4"))
    assert "At each task this is a comparison at one shared learning rate" in told
    assert "(CoLA 3e-4, RTE 1e-4)" in told
    assert "The rate that suits one method may not suit another" in told


def test_a_rate_by_several_axes_is_told_as_a_range(tmp_path: Path) -> None:
    rates = {("LoRA", "CoLA"): "3e-4", ("LoRA", "RTE"): "1e-3", ("BA", "CoLA"): "5e-5", ("BA", "RTE"): "3e-4"}
    (told,) = said(made(tmp_path, lambda levels: rates[levels["method"], levels["task"]]))
    assert "sets the learning rate by more than one axis (5e-5 to 1e-3)" in told


def test_an_axis_of_rates_by_any_name(tmp_path: Path) -> None:
    (told,) = said(made(tmp_path, lambda levels: levels["rank"]))
    assert told == "plain: Nothing was tuned: the learning rate is an axis of the study, and is shown as such."


def test_a_tuned_rate_says_by_what(tmp_path: Path) -> None:
    (told,) = said(made(tmp_path, lambda levels: "1e-4", tuned=("training.learning_rate",), tuning=TUNED))
    assert "of 3 tries, 2 seeds each, by validation accuracy (lab.validation_accuracy) on the lab's" in told
    assert told.startswith("plain: Each method ran with the training.learning_rate that its own sweep")


def test_a_sweep_of_something_else_leaves_the_rate_to_be_told(tmp_path: Path) -> None:
    per = {**TUNED, "per": ["task"], "seeds": 1}
    told = said(made(tmp_path, lambda levels: "1e-4", tuned=("regularizers.diversity_weight",), tuning=per))
    assert told[0].startswith("warning: Each task ran with the regularizers.diversity_weight")
    assert "Every method shares a sweep with the others." in told[0]
    assert told[1].startswith("warning: This is a comparison at one shared learning rate, 1e-4.")
