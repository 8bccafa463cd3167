"""How a study file asks for tables and figures: a small vocabulary, checked, with defaults that need no words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from balora.errors import Problem, RecipeError, did_you_mean
from balora.settings import Settings
from balora.study.cells import COSTS, numbers_of, varied_axes
from balora.study.results import StudyResults
from balora.study.statistics import TestName

FigureKind = Literal["dots", "lines", "front", "heatmap", "bars", "cost", "curves", "spectrum", "embedding"]

Layout = TypeVar("Layout", "TableLayout", "FigureLayout")

METRICS = "metrics"
"""The word that puts metrics, not an axis, into the columns."""


class TableLayout(Settings):
    """One table of a study's report; every key may be left out."""

    title: str | None = None
    """Above the table. Left out: what it shows, in words."""
    rows: str | None = None
    """The axis down the side. Left out: the axis that the study compares."""
    columns: str | None = None
    """The axis along the top, or `metrics`. Left out: the next axis with several levels; without one, the metrics."""
    metrics: list[str] | None = Field(default=None, min_length=1)
    """Metric keys. Left out: all. With an axis in the columns there is one table for each."""
    metric_of: dict[str, str] = Field(default_factory=dict)
    """Level of the column axis -> the metric key that counts there, for tasks that are scored differently."""
    average_over: str | None = None
    """The axis whose mean is shown: as a last column where it is the column axis, in every cell otherwise. Left out:
    the column axis, unless its levels are numbers. `none` for no average."""
    only: dict[str, str | list[str]] = Field(default_factory=dict)
    """Axis -> the level or levels that this table shows."""
    test: TestName = "t"
    """Against the baseline: `t`, `wilcoxon` or `permutation`."""
    family: Literal["table", "column"] = "table"
    """What Holm's correction goes over: all single comparisons of the `table`, its averages apart, or each `column`."""
    published: bool = True
    """Whether published numbers stand below ours."""


class FigureLayout(Settings):
    """One figure of a study's report; only `kind` must be given."""

    kind: FigureKind
    """`dots`: mean, interval and every seed. `lines`: a metric along an axis of numbers. `front`: two metrics against
    each other with the Pareto front. `heatmap`: two axes. `bars`: means from zero. `cost`: time and memory. `curves`:
    what training logged. `spectrum` and `embedding`: from the audits of the runs."""
    title: str | None = None
    """Above the figure. Left out: what it shows, in words."""
    metric: str | None = None
    """Metric key. Left out: the first."""
    against: str | None = None
    """The metric on the other side of a `front`. Left out: the second."""
    x: str | None = None
    """The axis along the bottom of `lines`, or the columns of a `heatmap`. Left out: an axis of numbers."""
    y: str | None = None
    """The axis down the side of a `heatmap`. Left out: another axis of numbers."""
    average_over: str | None = None
    """An axis that is averaged away."""
    metric_of: dict[str, str] = Field(default_factory=dict)
    """Level of the averaged axis -> the metric key that counts there."""
    along: str | None = None
    """Of a `front`: the axis whose levels are points of their own, joined by a line."""
    terms: list[str] | None = Field(default=None, min_length=1)
    """Of `curves`: names from `metrics.jsonl`. Left out: the losses and every term."""
    only: dict[str, str | list[str]] = Field(default_factory=dict)
    """Axis -> the level or levels that this figure shows."""


def table_layouts(results: StudyResults) -> list[TableLayout]:
    """The tables that the study asks for; without any, one that shows it all.

    Raises:
        RecipeError: a layout has an unknown key, or names an axis, a level or a metric that the study has not.
    """
    if not results.tables:
        return [TableLayout()]
    return [_parsed(TableLayout, results, "tables", index, given) for index, given in enumerate(results.tables)]


def figure_layouts(results: StudyResults) -> list[FigureLayout]:
    """The figures that the study asks for; without any, those that its axes and metrics suggest.

    Raises:
        RecipeError: as `table_layouts`.
    """
    if not results.figures:
        return list(_usual_figures(results))
    return [_parsed(FigureLayout, results, "figures", index, given) for index, given in enumerate(results.figures)]


def selected(results: StudyResults, only: Mapping[str, str | list[str]], axis: str) -> tuple[str, ...]:
    """The levels of an axis that a layout shows, in the study's order."""
    wanted = only.get(axis)
    if wanted is None:
        return results.axes[axis]
    names = {wanted} if isinstance(wanted, str) else set(wanted)
    return tuple(level for level in results.axes[axis] if level in names)


def numeric_axes(results: StudyResults) -> list[str]:
    """The axes with several levels, each a number; the compared one last, since it usually names things."""
    found = [axis for axis in varied_axes(results) if numbers_of(results.axes[axis])]
    return sorted(found, key=lambda axis: axis == results.compare)


def _usual_figures(results: StudyResults) -> Iterator[FigureLayout]:
    varied, numeric = varied_axes(results), numeric_axes(results)
    others = [axis for axis in varied if axis != results.compare]
    tasks = next((axis for axis in others if axis not in numeric), None)
    scored = [metric.key for metric in results.metrics]
    if len(numeric) >= 2 and scored:
        for key in scored[:3]:
            yield FigureLayout(kind="heatmap", metric=key)
    elif numeric and scored:
        for key in scored[:3]:
            yield FigureLayout(kind="lines", metric=key, x=numeric[0])
    elif scored:
        yield FigureLayout(kind="dots", metric=scored[0], average_over=tasks)
    along = next((axis for axis in numeric if axis != results.compare), None)
    others_measured = scored[1:4]
    if scored and any("cost.train_s" in run.scores for run in results.runs) and "cost.train_s" not in scored:
        others_measured.append("cost.train_s")
    for key in others_measured:
        average = tasks if tasks != along else None
        yield FigureLayout(kind="front", metric=scored[0], against=key, average_over=average, along=along)
    for kind in ("cost", "curves", "spectrum", "embedding"):
        yield FigureLayout(kind=kind)


def _parsed(layout: type[Layout], results: StudyResults, section: str, index: int, given: Mapping[str, Any]) -> Layout:
    where = f"{results.name}: {section}[{index}]"
    try:
        parsed = layout.model_validate(dict(given))
    except ValidationError as error:
        raise RecipeError([_problem(where, layout, detail) for detail in error.errors()]) from error
    from balora.study.layout_checks import Grid, unknown_names  # it reads the layouts of this module

    grid = Grid(results.axes, {metric.key for metric in (*results.metrics, *COSTS)}, results.compare)
    problems = [
        Problem(where, f"{'.'.join(str(part) for part in found.key[:1])}: {found.what}", found.fix)
        for found in unknown_names(parsed, grid)
    ]
    if problems:
        raise RecipeError(problems)
    return parsed


def _problem(where: str, layout: type[Settings], detail: Any) -> Problem:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return Problem(where, f"unknown key '{key}'", did_you_mean(key, layout.model_fields))
    return Problem(where, f"{key or 'the layout'}: {detail['msg'].lower()}, found {detail.get('input')!r}")
