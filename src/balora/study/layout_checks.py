"""Tables and figures of a study, checked when its file is read: every problem with its line, before any run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from balora.errors import did_you_mean
from balora.recipe.document import Document, FoundProblem, KeyPath
from balora.study.axes import Axis
from balora.study.cells import COSTS, numbers_of
from balora.study.layouts import METRICS, FigureLayout, TableLayout
from balora.study.subtree import cut
from balora.study.validation import validated

_SCORED = ("dots", "bars", "lines", "front", "heatmap")
_OWN_KEYS: Mapping[str, tuple[str, ...]] = {
    "x": ("lines", "heatmap"),
    "y": ("heatmap",),
    "against": ("front",),
    "along": ("front",),
    "terms": ("curves",),
    "metric": _SCORED,
    "average_over": _SCORED,
    "metric_of": _SCORED,
}
"""Key of a figure -> the kinds that read it."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What layouts may name."""

    axes: Mapping[str, tuple[str, ...]]
    metrics: Collection[str] | None
    """Keys; None where they follow from the recipe and are not known yet."""
    compare: str

    @property
    def numeric(self) -> list[str]:
        """The axes with several levels, all of them numbers."""
        return [axis for axis, labels in self.axes.items() if len(labels) > 1 and numbers_of(labels)]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a layout."""

    key: KeyPath
    what: str
    fix: str = ""


def check_layouts(
    document: Document, axes: Sequence[Axis], metrics: Sequence[str] | None, compare: str
) -> Iterator[FoundProblem]:
    """Everything that is wrong with the tables and figures of a study document.

    Args:
        document: the whole study.
        axes: of the study.
        metrics: their keys; None where they follow from the recipe.
        compare: the axis whose levels are compared.
    """
    known = None if metrics is None else {*metrics, *(metric.key for metric in COSTS)}
    grid = Grid({axis.name: axis.labels for axis in axes}, known, compare)
    kinds: dict[str, type[TableLayout] | type[FigureLayout]] = {"tables": TableLayout, "figures": FigureLayout}
    for section, kind in kinds.items():
        written = document.values.get(section)
        for at, each in enumerate(written if isinstance(written, list) else ()):
            if not isinstance(each, dict):
                continue  # told where the settings are checked
            layout, problems = validated(kind, cut(document, (section, at)), (section, at))
            for found in problems:
                yield document.problem((section, at, *found.path), found.problem.what, found.problem.fix)
            for finding in findings(layout, grid) if layout is not None else ():
                yield document.problem((section, at, *finding.key), finding.what, finding.fix)


def findings(layout: TableLayout | FigureLayout, grid: Grid) -> Iterator[Finding]:
    """What a layout names that the study has not, and what it asks for that nothing can show."""
    yield from unknown_names(layout, grid)
    if isinstance(layout, TableLayout):
        rows = layout.rows or grid.compare
        for key in ("columns", "average_over"):
            if getattr(layout, key) == rows:
                yield Finding((key,), f"'{rows}' is the axis of the rows already", "name another axis")
        return
    for key in sorted(layout.model_fields_set & _OWN_KEYS.keys()):
        if layout.kind not in _OWN_KEYS[key]:
            yield Finding((key,), f"means nothing to {layout.kind}", f"it is a key of {', '.join(_OWN_KEYS[key])}")
    if layout.kind == "lines":
        yield from _lines(layout, grid)
    if layout.kind == "heatmap":
        yield from _heat_map(layout, grid)
    if layout.kind == "front":
        yield from _front(layout, grid)
    if layout.average_over is not None and layout.average_over in {layout.x, layout.y, layout.along}:
        yield Finding(("average_over",), f"'{layout.average_over}' has a place in the figure", "name another axis")


def _lines(layout: FigureLayout, grid: Grid) -> Iterator[Finding]:
    if layout.x is None and not grid.numeric:
        yield Finding(("kind",), "lines need an axis of numbers, and the study has none", "draw dots or bars")
    elif layout.x is not None and layout.x in grid.axes and numbers_of(grid.axes[layout.x]) is None:
        yield Finding(("x",), f"the levels of '{layout.x}' are not all numbers", "name another axis, or draw dots")


def _heat_map(layout: FigureLayout, grid: Grid) -> Iterator[Finding]:
    varied = [axis for axis, labels in grid.axes.items() if len(labels) > 1]
    if layout.x is not None and layout.x == layout.y:
        yield Finding(("y",), f"'{layout.y}' runs along the bottom already", "name another axis")
    elif len({*varied, layout.x, layout.y} - {None}) < 2:
        yield Finding(("kind",), "a heat map needs two axes with several levels", "draw dots or bars")
    elif layout.x is None and not [axis for axis in grid.numeric if axis != layout.y]:
        yield Finding(("kind",), "no axis of numbers can run along the bottom", "name an axis: x: <axis>")


def _front(layout: FigureLayout, grid: Grid) -> Iterator[Finding]:
    if layout.along is not None and layout.along == grid.compare:
        yield Finding(("along",), f"'{layout.along}' is the compared axis already", "name another axis")
    if layout.against is None and grid.metrics is not None:
        own = set(grid.metrics) - {metric.key for metric in COSTS}
        if len(own) == 1:
            yield Finding(("kind",), "a front needs two metrics, and the study has one", "add against: <metric key>")


def unknown_names(layout: TableLayout | FigureLayout, grid: Grid) -> Iterator[Finding]:
    """Axes, levels and metrics that are named and not there."""
    is_table = isinstance(layout, TableLayout)
    words = {"columns": METRICS, "average_over": "none"} if is_table else {}
    for key in ("rows", "columns", "average_over") if is_table else ("x", "y", "average_over", "along"):
        axis = getattr(layout, key)
        if axis is not None and axis not in grid.axes and axis != words.get(key):
            yield Finding((key,), f"no axis is called '{axis}'", did_you_mean(axis, grid.axes))
    for path, name in _metrics_of(layout):
        if grid.metrics is not None and name not in grid.metrics:
            yield Finding(path, f"no metric has the key '{name}'", did_you_mean(name, grid.metrics))
    levels = {level for known in grid.axes.values() for level in known}
    for level in layout.metric_of:
        if level not in levels:
            yield Finding(("metric_of", level), f"no axis has a level '{level}'", did_you_mean(level, levels))
    for axis, wanted in layout.only.items():
        if axis not in grid.axes:
            yield Finding(("only", axis), f"no axis is called '{axis}'", did_you_mean(axis, grid.axes))
            continue
        for level in [wanted] if isinstance(wanted, str) else wanted:
            if level not in grid.axes[axis]:
                what = f"'{axis}' has no level '{level}'"
                yield Finding(("only", axis), what, did_you_mean(level, grid.axes[axis]))


def _metrics_of(layout: TableLayout | FigureLayout) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(layout, TableLayout):
        yield from ((("metrics", at), name) for at, name in enumerate(layout.metrics or []))
    else:
        yield from (((key,), name) for key in ("metric", "against") if (name := getattr(layout, key)) is not None)
    yield from ((("metric_of", level), name) for level, name in layout.metric_of.items())
