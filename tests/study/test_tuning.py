"""The winner of a sweep: the best mean; of equals the first; never one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.study import load_results, parse_study
from balora.study.board import Board
from balora.study.jobs import Outcome
from balora.study.metrics import metric_of
from balora.study.plan import PlannedRun
from balora.study.storing import write_results
from balora.study.tuning import Choice, choose
from tests.study.conftest import MakeStudy, planner

RATES = (1e-4, 3e-4, 1e-3)


@pytest.fixture
def sweep(study_text: MakeStudy, tmp_path: Path) -> tuple[list[PlannedRun], object]:
    text = study_text("tune: {keys: {training.learning_rate: [1e-4, 3e-4, 1e-3]}, seeds: [0, 1]}\n")
    made = planner(parse_study(text), tmp_path)
    return next(iter(made.sweeps().values())), made.study.settings.tune


def chosen(sweep: tuple, scores: dict[float, list[float | None]], key: str = "eval_accuracy") -> Choice:
    """The choice among rates whose two seeds scored so; None failed."""
    runs, tune = sweep
    outcomes = {}
    for run in runs:
        score = scores[run.chosen["training.learning_rate"]][run.seed]
        failed = Outcome(run.identity, "failed", error="it broke")
        outcomes[run.identity] = failed if score is None else Outcome(run.identity, "done", {key: score})
    return choose("LoRA", runs, outcomes, tune, metric_of(key))


def rate(choice: Choice) -> float:
    assert choice.values is not None
    return float(choice.values["training.learning_rate"])


def test_the_best_mean_wins_and_not_the_best_seed(sweep: tuple) -> None:
    assert rate(chosen(sweep, {1e-4: [0.0, 1.0], 3e-4: [0.6, 0.6], 1e-3: [0.5, 0.5]})) == 3e-4


def test_lower_is_better_where_it_is(sweep: tuple) -> None:
    assert rate(chosen(sweep, {1e-4: [3, 3], 3e-4: [2, 2], 1e-3: [1, 1]}, key="eval_loss")) == 1e-3


def test_of_equals_the_first_in_the_file(sweep: tuple) -> None:
    assert rate(chosen(sweep, {key: [0.5, 0.5] for key in RATES})) == 1e-4


def test_a_candidate_with_a_failed_run_is_out_and_it_is_said(sweep: tuple) -> None:
    choice = chosen(sweep, {1e-4: [0.5, 0.5], 3e-4: [0.9, None], 1e-3: [0.4, 0.4]})
    assert rate(choice) == 1e-4
    assert any("0.0003 is out of the running, because 1 of 2 runs failed" in note for note in choice.notes)


def test_no_candidate_no_choice(sweep: tuple) -> None:
    choice = chosen(sweep, {key: [None, None] for key in RATES})
    assert choice.values is None
    assert choice.error == "tuning found no settings: it broke"
    runs, tune = sweep
    done = {run.identity: Outcome(run.identity, "done", {"eval_loss": 1.0}) for run in runs}
    silent = choose("LoRA", runs, done, tune, metric_of("eval_accuracy"))
    assert "no score 'eval_accuracy'; they have eval_loss" in str(silent.error)


def test_a_winner_at_the_end_of_the_sweep_is_noted(sweep: tuple) -> None:
    assert chosen(sweep, {1e-4: [0, 0], 3e-4: [1, 1], 1e-3: [0, 0]}).notes == ()
    (note,) = chosen(sweep, {1e-4: [0, 0], 3e-4: [0, 0], 1e-3: [1, 1]}).notes
    assert note == "tuning LoRA: the best training.learning_rate, 0.001, is the highest that was tried"


def test_how_settings_were_chosen_is_kept_with_the_results(study_text: MakeStudy, tmp_path: Path) -> None:
    tune = (
        "tune: {keys: {training.learning_rate: [1e-4, 3e-4, 1e-3], adapter.r: [2, 4]}, seeds: [0, 1], by: eval_loss}\n"
    )
    loaded = parse_study(study_text(tune))
    folder = tmp_path / "out"
    folder.mkdir()
    results = Board(planner(loaded, tmp_path), folder, (metric_of("eval_accuracy"),)).results()
    wanted = {"by": "eval_loss", "split": "10% of the training rows, held out of training"}
    assert results.tuning == {**wanted, "tries": 6, "seeds": 2, "per": None}
    write_results(results)
    assert load_results(folder).tuning == results.tuning
