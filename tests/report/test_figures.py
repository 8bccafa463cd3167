"""Which figures a study gets, from which numbers, and what happens when some are missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from balora.report.drawn import MOST_PAGES, Drawn
from balora.report.figures import draw_figures
from balora.study import StudyResults
from tests.support.studies import ACCURACY, DRIFT, noisy, study, with_run, write_audit, write_run

MEANS = {"LoRA": 0.8, "BA": 0.9}


def made(folder: Path = Path("nowhere"), **changes) -> StudyResults:
    return study(
        {"method": list(MEANS)}, noisy(MEANS), metrics=(ACCURACY, DRIFT), folder=folder, baseline="LoRA", **changes
    )


def drawn(results: StudyResults, **layout: Any) -> list[Drawn]:
    return draw_figures(replace(results, figures=(layout,)))


def test_dots_hold_mean_and_interval_of_each_level() -> None:
    (figure,) = drawn(made(), kind="dots")
    assert [row[0] for row in figure.rows] == ["LoRA", "BA"]
    assert figure.rows[1][1:3] == ["3", "89.05 ± 1.19"]
    assert "LoRA" in figure.svg


def test_a_front_names_the_levels_on_it() -> None:
    scores = {"a": (0.9, 0.3), "b": (0.8, 0.1), "c": (0.7, 0.2)}
    results = study(
        {"method": list(scores)},
        lambda levels, seed: dict(
            zip(("eval_accuracy", "audit.drift.kl"), (v + seed / 1e4 for v in scores[levels["method"]]), strict=True)
        ),
        metrics=(ACCURACY, DRIFT),
    )
    (figure,) = drawn(results, kind="front")
    assert [row[-1] for row in figure.rows] == ["on the front", "on the front", ""]
    assert "a better mean in both): b, a." in figure.caption


def test_a_heat_map_frames_the_best_in_the_metric_s_direction() -> None:
    axes = {"w": ["0", "1"], "v": ["0", "1", "2"]}
    results = study(
        axes, lambda levels, _seed: {"audit.drift.kl": float(levels["w"]) + float(levels["v"])}, metrics=(DRIFT,)
    )
    (figure,) = drawn(results, kind="heatmap")
    assert figure.header == ("w \\ v", "0", "1", "2")
    assert "w 0, v 0" in figure.caption


def test_lines_stand_at_the_numbers_of_their_labels() -> None:
    results = study({"method": list(MEANS), "rank": ["r=8", "r=1"]}, noisy(MEANS))
    (figure,) = drawn(results, kind="lines")
    assert [row[:2] for row in figure.rows] == [["LoRA", "r=8"], ["LoRA", "r=1"], ["BA", "r=8"], ["BA", "r=1"]]


def test_lines_along_words_are_refused_in_words() -> None:
    (figure,) = drawn(made(), kind="lines", x="method")
    assert figure.svg == ""
    assert "not all numbers" in figure.caption


def test_an_axis_without_a_place_makes_a_figure_per_level_up_to_a_limit() -> None:
    results = study({"method": list(MEANS), "task": [f"t{n}" for n in range(MOST_PAGES + 3)]}, noisy(MEANS))
    figures = drawn(results, kind="dots")
    assert len(figures) == MOST_PAGES
    assert [figure.title.endswith("; 3 more are not drawn)") for figure in figures] == [False] * (MOST_PAGES - 1) + [
        True
    ]
    assert figures[0].title == "accuracy by method (task t0)"
    assert len(drawn(results, kind="dots", only={"task": ["t9", "t10"]})) == 2


def test_bars_of_cost_take_every_finished_run(tmp_path: Path) -> None:
    results = made(tmp_path)
    for run in results.runs:
        write_run(run.folder, steps=2, train_seconds=4.0 if run.levels["method"] == "BA" else 2.0)
    from balora.study.cells import with_costs

    (figure,) = drawn(with_costs(results), kind="cost")
    assert [row[1] for row in figure.rows] == ["2.0", "4.0"]


def test_curves_come_from_finished_runs_only(tmp_path: Path) -> None:
    results = made(tmp_path)
    for run in results.runs:
        write_run(run.folder, steps=4)
    results = with_run(results, 1, {"method": "BA"}, state="failed")
    (figure,) = drawn(results, kind="curves", terms=["task_loss", "learning_rate", "absent"])
    assert [row[:3] for row in figure.rows] == [
        ["LoRA", "task loss", "3"],
        ["LoRA", "learning_rate", "3"],
        ["BA", "task loss", "2"],
        ["BA", "learning_rate", "2"],
    ]


def test_spectra_and_embeddings_come_from_the_first_audit(tmp_path: Path) -> None:
    results = made(tmp_path)
    for run in results.runs:
        write_run(run.folder, steps=1)
    write_audit(results.runs[2].folder)
    spectra = drawn(results, kind="spectrum")
    assert [figure.title for figure in spectra] == ["Spectrum of the features", "Spectrum of the logits"]
    assert [row[:2] for row in spectra[0].rows] == [["LoRA", "base"], ["LoRA", "tuned"]]
    (embedding,) = drawn(results, kind="embedding")
    assert [row[0] for row in embedding.rows] == ["before", "step 20", "after"]
    assert "city, job, name" in embedding.caption


GOOD_STEP = {"step": "base", "points": [[0, 1], [2, 3]], "silhouette": 0.5}


@pytest.mark.parametrize(
    ("collapse", "figures"),
    [
        ([], 0),
        ({}, 0),
        ({"spectrum": None, "embedding": None}, 0),
        ({"spectrum": {"features": {"base": ["x"], "tuned": []}}}, 0),
        ({"spectrum": {"features": {"tuned": [1, 0.5]}, "logits": 3}}, 1),
        ({"embedding": {"steps": [GOOD_STEP], "labels": [0, 1], "label_names": ["a", "b"]}}, 1),
        ({"embedding": {"steps": [GOOD_STEP], "labels": [0, 1]}}, 1),
        ({"embedding": {"steps": [{**GOOD_STEP, "silhouette": None}], "labels": []}}, 1),
        ({"embedding": {"steps": [GOOD_STEP], "labels": [0]}}, 0),
        (
            {
                "embedding": {
                    "steps": [GOOD_STEP, {"step": 1, "points": [[0, 0]]}, 7, {"points": "x"}],
                    "labels": [0, 1],
                }
            },
            1,
        ),
        ({"embedding": {"steps": [{"step": 1, "points": [[0, 1, 2], [1]]}], "labels": [0, 1]}}, 0),
        ({"embedding": {"steps": {"a": 1}, "labels": "no"}}, 0),
        ({"embedding": {"steps": [GOOD_STEP], "labels": [0, 10**9]}}, 1),
        ({"embedding": {"steps": [GOOD_STEP], "labels": [-1, True]}}, 1),
    ],
)
def test_audits_may_be_partial_or_broken(tmp_path: Path, collapse: Any, figures: int) -> None:
    results = made(tmp_path, seeds=[0])
    write_run(results.runs[0].folder, steps=1)
    (results.runs[0].folder / "audit.json").write_text(json.dumps({"collapse": collapse}))
    found = [*drawn(results, kind="spectrum"), *drawn(results, kind="embedding")]
    assert sum(bool(figure.svg) for figure in found) == figures


def test_what_was_asked_for_and_cannot_be_drawn_is_said_what_was_not_is_left_out() -> None:
    (figure,) = drawn(made(), kind="curves")
    assert (figure.svg, figure.caption) == ("", "Nothing to draw it from yet.")
    assert {figure.kind for figure in draw_figures(made())} == {"dots", "front"}


def test_a_study_without_any_result_draws_nothing_and_says_so() -> None:
    results = made()
    results = replace(results, runs=tuple(replace(run, state="waiting", scores={}) for run in results.runs))
    assert [figure.svg for figure in draw_figures(results)] == ["", ""]
