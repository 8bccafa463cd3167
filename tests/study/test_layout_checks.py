"""A wrong table or figure is told when the study file is read: all of them, each with its line."""

from __future__ import annotations

import pytest

from balora.errors import RecipeError
from balora.study import parse_study
from tests.study.conftest import MakeStudy

METRICS = " [eval_accuracy, eval_loss]"


def told(text: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        parse_study(text)
    return [str(problem) for problem in error.value.problems]


def test_every_problem_at_once_with_its_line(study_text: MakeStudy) -> None:
    layouts = (
        "tables:\n"
        "  - {row: method}\n"
        "  - {columns: metod, metrics: [accuracy]}\n"
        "figures:\n"
        "  - {kind: pie}\n"
        "  - kind: lines\n"
        "    x: ranks\n"
        "    only: {method: [LoRA, lora], size: big}\n"
        "  - {kind: front, metric: eval_accuracy, against: loss}\n"
        "compare: methods\n"
    )
    text = study_text(layouts, metrics=METRICS)
    first = 1 + text.splitlines().index("tables:")
    found = told(text)
    wanted = [
        (1, "tables.0.row: unknown key"),
        (2, "tables.1.columns: no axis is called 'metod'; did you mean 'method'?"),
        (2, "tables.1.metrics.0: no metric has the key 'accuracy'"),
        (4, "figures.0.kind: is 'pie'"),
        (6, "figures.1.x: no axis is called 'ranks'; did you mean 'rank'?"),
        (7, "figures.1.only.method: 'method' has no level 'lora'"),
        (7, "figures.1.only.size: no axis is called 'size'"),
        (8, "figures.2.against: no metric has the key 'loss'"),
        (9, "compare: no axis is called 'methods'"),
    ]
    for line, message in wanted:
        assert any(each.startswith(f"study.yaml:{first + line} {message}") for each in found), (message, found)
    assert len(found) == len(wanted)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("tables: [{rows: rank, columns: rank}]", "'rank' is the axis of the rows already"),
        ("tables: [{average_over: method}]", "'method' is the axis of the rows already"),
        ("figures: [{kind: lines, x: method}]", "the levels of 'method' are not all numbers"),
        ("figures: [{kind: heatmap, x: rank, y: rank}]", "'rank' runs along the bottom already"),
        ("figures: [{kind: heatmap, y: rank}]", "no axis of numbers can run along the bottom"),
        ("figures: [{kind: front, along: method}]", "'method' is the compared axis already"),
        ("figures: [{kind: dots, x: rank}]", "means nothing to dots; it is a key of lines, heatmap"),
        ("figures: [{kind: cost, metric: eval_loss}]", "means nothing to cost"),
        ("figures: [{kind: lines, x: rank, average_over: rank}]", "'rank' has a place in the figure"),
        ("figures: [{kind: dots, metric_of: {QLoRA: eval_loss}}]", "no axis has a level 'QLoRA'"),
    ],
)
def test_what_nothing_could_show_is_told(study_text: MakeStudy, layout: str, message: str) -> None:
    (found,) = told(study_text(f"{layout}\n", metrics=METRICS))
    assert message in found


def test_a_front_of_one_metric_and_lines_without_numbers(study_text: MakeStudy) -> None:
    (front,) = told(study_text("figures: [{kind: front}]\n", metrics=" [eval_accuracy]"))
    assert "a front needs two metrics" in front
    axes = "\n  method: [{label: a, adapter.r: 4}, {label: b, adapter.r: 8}]"
    found = told(study_text("figures: [{kind: lines}, {kind: heatmap}]\n", axes=axes, metrics=METRICS))
    assert "lines need an axis of numbers" in found[0]
    assert "a heat map needs two axes" in found[1]


def test_what_fits_is_read(study_text: MakeStudy) -> None:
    layouts = (
        "tables: [{rows: rank, columns: method, metrics: [cost.train_s, eval_loss], only: {rank: ['4']}}]\n"
        "figures: [{kind: lines}, {kind: front, along: rank}, {kind: heatmap, y: method}, "
        "{kind: curves, terms: [loss]}]\n"
    )
    assert len(parse_study(study_text(layouts, metrics=METRICS)).settings.figures) == 4
    # Without metrics they follow from the recipe, and are looked up by the report.
    assert parse_study(study_text("figures: [{kind: dots, metric: eval_f1}]\n", metrics=" []"))


def test_settings_that_are_wrong_hide_no_layout(study_text: MakeStudy) -> None:
    found = told(study_text("tables: [{row: x}]\n", seeds=" 0"))
    assert any("seeds" in each for each in found)
    assert any("tables.0.row" in each for each in found)
