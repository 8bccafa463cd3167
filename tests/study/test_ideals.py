"""Where closer to a value is better, marks, tests, fronts and tuning go by the distance, not by more or less."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from balora.evaluation.bias import BiasSettings, measure_bias
from balora.report.fronts import front_of
from balora.report.score_figures import score_figures
from balora.report.words import summary
from balora.study import StudyResults, load_results
from balora.study.cells import Quantity, measure
from balora.study.layouts import FigureLayout
from balora.study.metrics import metric_of
from balora.study.settings import MetricSettings
from balora.study.statistics import compare_paired
from balora.study.storing import write_results
from balora.study.tables import Table, build_tables
from tests.evaluation.bias.models import KnownModel
from tests.evaluation.bias.test_real_files import sources
from tests.study.test_tuning import chosen, rate, sweep  # noqa: F401 - the sweep is a fixture
from tests.support.studies import ACCURACY, study

GAP = metric_of("lab.stereotype_gap")
VALUES = {"base": [0.30, 0.32, 0.29], "none": [0.01, -0.02, 0.01], "turned": [-0.40, -0.41, -0.42]}
"""`turned` has the lowest values of all, and is the furthest from unbiased."""


def results(**changes: object) -> StudyResults:
    return study(
        {"method": list(VALUES)},
        lambda levels, seed: {GAP.key: VALUES[levels["method"]][seed], "eval_accuracy": 0.8},
        metrics=(GAP, ACCURACY),
        baseline="base",
        **changes,
    )


def gap_table() -> Table:
    (table,) = build_tables(results())
    return table


def test_the_best_is_the_closest_and_the_furthest_is_worse() -> None:
    table = gap_table()
    assert [bool(table.cells[row, 0].standing) for row in VALUES] == [False, True, False]
    assert [table.cells[row, 0].verdict for row in VALUES] == ["", "better", "worse"]
    distances = [{s: abs(v) for s, v in enumerate(VALUES[row])} for row in ("turned", "base")]
    assert table.cells["turned", 0].versus == compare_paired(*distances)
    assert table.cells["turned", 0].summary.mean == pytest.approx(-0.41)  # shown as it is


def test_opposite_seeds_do_not_make_up_for_each_other() -> None:
    values = {"even": [0.3, -0.3, 0.3, -0.3], "small": [0.1, 0.1, 0.12, 0.1]}
    found = study(
        {"method": list(values)},
        lambda levels, seed: {GAP.key: values[levels["method"]][seed]},
        metrics=(GAP,),
        seeds=range(4),
    )
    (table,) = build_tables(found)
    assert table.cells["small", 0].standing
    assert not table.cells["even", 0].standing


def test_an_ideal_in_the_middle() -> None:
    pairs = metric_of("crows_pairs.metric_score")
    assert (pairs.better, pairs.ideal, pairs.direction) == ("closer", 50.0, "closer to 50")
    assert pairs.compared(46.0) == pairs.compared(54.0) == 4.0
    scaled = metric_of("mine", {"ideal": 0.5, "scale": 100.0})
    assert (scaled.better, scaled.compared(40.0), scaled.compared(0.4, shown=False)) == (
        "closer",
        10.0,
        pytest.approx(0.1),
    )
    assert metric_of(GAP.key, {"better": "lower"}).ideal is None
    with pytest.raises(ValidationError, match="remove one of the two"):
        MetricSettings(key="a", better="higher", ideal=0.5)


def test_the_front_and_the_summary_know_it(tmp_path: Path) -> None:
    found = results()
    levels = [{"method": name} for name in VALUES]
    places = [(measure(found, at, Quantity(GAP)), measure(found, at, Quantity(ACCURACY))) for at in levels]
    assert front_of(places, GAP, ACCURACY) == [1]
    (drawn,) = score_figures(found, FigureLayout(kind="front", metric="eval_accuracy", against=GAP.key))
    assert [row[0] for row in drawn.rows if row[-1] == "on the front"] == ["none"]
    assert "better: closer to 0" in drawn.svg.replace("<!-- ", "").replace(" -->", "")
    words = " ".join(each.text for each in summary(found, build_tables(found), []))
    assert "none has the best mean" in words
    assert "closer to 0 is better, seed by seed" in words
    assert "in the distance to 0" in words
    assert "on the Pareto front of the means: none." in words


def test_an_average_is_one_of_distances() -> None:
    """Gaps of -0.5 and 0.5 at two tasks are no gap of 0: who has 0.1 at both is closer."""
    at = {("wide", "a"): -0.5, ("wide", "b"): 0.5, ("close", "a"): 0.1, ("close", "b"): 0.1}
    found = study(
        {"method": ["wide", "close"], "task": ["a", "b"]},
        lambda levels, seed: {GAP.key: at[levels["method"], levels["task"]] + seed * 1e-3},
        metrics=(GAP,),
    )
    (table,) = build_tables(found)
    assert [column.title for column in table.columns] == ["a", "b", "average: distance to 0"]
    means = [table.cells[row, 2].summary.mean for row in ("wide", "close")]
    assert means == pytest.approx([0.5, 0.101], abs=1e-3)
    assert table.columns[2].metric.better == "lower"
    assert [table.cells[row, 2].standing for row in ("wide", "close")] == ["", "clear"]
    (dots,) = score_figures(found, FigureLayout(kind="dots", metric=GAP.key, average_over="task"))
    assert "distance to 0" in dots.title
    (against,) = build_tables(replace(found, tables=({"columns": "metrics", "average_over": "task"},)))
    assert [column.title for column in against.columns] == [f"{GAP.title}: distance to 0"]


def test_a_sweep_chooses_the_closest(sweep: tuple) -> None:  # noqa: F811
    scores: dict[float, list[float | None]] = {1e-4: [-0.5, -0.5], 3e-4: [0.1, -0.1], 1e-3: [0.3, 0.3]}
    assert rate(chosen(sweep, scores, key="lab.stereotype_gap")) == 3e-4


def test_results_written_before_there_were_ideals_get_theirs(tmp_path: Path) -> None:
    write_results(results(folder=tmp_path))
    file = tmp_path / "results.json"
    document = json.loads(file.read_text())
    for metric in document["metrics"]:
        del metric["ideal"]
    document["metrics"][0]["better"] = "lower"
    file.write_text(json.dumps(document))
    assert load_results(tmp_path).metrics == (GAP, ACCURACY)
    document["metrics"][0]["ideal"] = None  # said on purpose, by a newer study file
    file.write_text(json.dumps(document))
    assert load_results(tmp_path).metrics[0] == replace(GAP, better="lower", ideal=None)


@pytest.mark.real
def test_the_ideals_are_those_of_the_benchmarks() -> None:
    report = measure_bias({"it": KnownModel()}, sources(), settings=BiasSettings(max_items=60, resamples=100))
    seen = set()
    for name, benchmark in report.benchmarks.items():
        for number, unbiased in benchmark.unbiased.items():
            metric = metric_of(f"{name}.{number}")
            seen.add((metric.better, unbiased))
            if metric.better == "closer":
                assert metric.ideal == unbiased, number
            else:
                assert (metric.better, unbiased) in {
                    ("higher", None),
                    ("higher", 100.0),
                    ("lower", 0.0),
                    ("lower", None),
                }, number
    assert len(seen) == 6
