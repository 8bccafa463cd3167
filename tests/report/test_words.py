"""The summary says what the numbers say, no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from balora.report.words import summary
from balora.study import StudyResults
from balora.study.choices import choices
from balora.study.tables import build_tables
from tests.support.studies import ACCURACY, DRIFT, noisy, study, with_run, write_run

MEANS = {"LoRA": 0.80, "PiSSA": 0.80, "BA": 0.90}
RATE = "training.learning_rate"


def said(results: StudyResults) -> str:
    return "\n".join(f"{s.tone}: {s.text}" for s in summary(results, build_tables(results), choices(results)))


def made(**changes) -> StudyResults:
    return study(
        {"method": list(MEANS), "task": ["a", "b"]}, noisy(MEANS, 0.004), baseline="LoRA", seeds=range(5), **changes
    )


def test_the_leader_with_its_certainty() -> None:
    text = said(made())
    assert "Accuracy (mean over task): BA has the highest mean, 90." in text
    assert "It is significantly better than every other" in text
    assert "Significantly better than LoRA (paired t-test, Holm over the 2 comparisons of averages): BA (+" in text
    assert "Not significantly different from LoRA: PiSSA" in text


def test_a_leader_by_chance_is_called_so() -> None:
    results = study({"method": ["LoRA", "BA"]}, noisy({"LoRA": 0.8, "BA": 0.8001}, 0.02), baseline="LoRA")
    assert "It is not significantly better than every other: the order at the top may be chance." in said(results)


def test_lower_is_better_has_the_lowest_mean() -> None:
    results = study({"method": ["a", "b"]}, noisy({"a": 0.9, "b": 0.75}), metrics=(DRIFT,), baseline="a")
    assert "Drift: b has the lowest mean" in said(results)


def test_one_shared_learning_rate_comes_first_and_stands_out(tmp_path: Path) -> None:
    results = study({"method": ["a", "b"]}, noisy({"a": 0.9, "b": 0.75}), tuned=(), folder=tmp_path)
    write_run(results.runs[0].folder)
    assert said(results).startswith("warning: This is a comparison at one shared learning rate, 1.0e-4.")


def test_rates_set_by_the_study_are_told_apart(tmp_path: Path) -> None:
    results = study({"method": ["a", "b"]}, noisy({"a": 0.9, "b": 0.75}), tuned=(), folder=tmp_path)
    for run in results.runs:
        write_run(run.folder)
    for run in results.runs[3:]:
        (run.folder / "recipe.resolved.yaml").write_text("training:\n  learning_rate: 3e-4\n")
    assert "the study file sets the learning rate of each method (a 1.0e-4, b 3e-4)" in said(results)


def test_an_axis_of_rates_is_no_shared_rate() -> None:
    results = study({"method": ["a", "b"], "learning_rate": ["1e-4", "3e-4"]}, noisy({"a": 0.9, "b": 0.75}), tuned=())
    assert "the learning rate is an axis" in said(results)


def test_a_choice_at_the_edge_is_a_warning() -> None:
    results = made()
    tried = [replace(results.runs[0], stage="tune", chosen={RATE: rate}) for rate in (1e-4, 3e-4)]
    runs = [replace(run, chosen={RATE: 1e-4}) for run in results.runs if run.levels["method"] == "LoRA"]
    text = said(
        replace(results, runs=(*runs, *(run for run in results.runs if run.levels["method"] != "LoRA"), *tried))
    )
    assert "warning: Each method ran with the training.learning_rate" in text
    assert "1 of 1 choices lie at the edge of what was tried" in text


def test_failures_and_what_has_not_run_are_counted() -> None:
    results = with_run(made(), 1, {"method": "BA", "task": "a"}, state="failed", scores={})
    results = with_run(results, 2, {"method": "BA", "task": "a"}, state="waiting", scores={})
    text = said(results)
    assert "warning: 28 of 30 final runs are done; 1 failed" in text
    assert "1 have not finished" in text


def test_a_row_without_an_average_is_named() -> None:
    results = made()
    for seed in range(5):
        results = with_run(results, seed, {"method": "PiSSA", "task": "b"}, state="failed", scores={})
    assert "Without a number there: PiSSA (b: seeds 0, 1, 2, 3, 4 failed)." in said(results)


def test_one_seed_claims_nothing() -> None:
    text = said(study({"method": ["a", "b"]}, noisy({"a": 0.9, "b": 0.7}), seeds=[0], baseline="a"))
    assert "There is one seed: no interval and no test is possible" in text
    assert "With one seed no test is possible: the order may be chance." in text
    assert "significantly" not in text


def test_many_columns_are_counted() -> None:
    axes = {"method": ["LoRA", "BA"], "rank": ["1", "2", "4", "8"]}
    text = said(study(axes, noisy({"LoRA": 0.7, "BA": 0.9}, 0.002), seeds=range(5), baseline="LoRA"))
    assert "Best mean accuracy: BA at rank 1, 2, 4, 8." in text
    assert "BA: better 4." in text


def test_the_front_is_named() -> None:
    text = said(study({"method": list(MEANS)}, noisy(MEANS, 0.001), metrics=(ACCURACY, DRIFT), baseline="LoRA"))
    assert "Trade-off of accuracy and drift: on the Pareto front of the means: " in text


def test_nothing_measured_is_no_victory() -> None:
    results = study({"method": ["a", "b"]}, lambda *_: {}, baseline="a")
    results = replace(results, runs=tuple(replace(run, state="waiting") for run in results.runs))
    text = said(results)
    assert "Accuracy: nothing was measured yet." in text
    assert "0 of 6 final runs are done; 6 have not finished" in text


def test_a_study_without_metrics_has_a_summary() -> None:
    assert "6 of 6 final runs are done." in said(study({"method": ["a", "b"]}, lambda *_: {}, metrics=()))
