"""Tables of a study: a cell per place, compared with the baseline, corrected over the table, best where it is clear."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from balora.study.cells import (
    Measured,
    Quantity,
    compared_mean,
    compared_values,
    in_words,
    measure,
    metric_named,
    numbers_of,
    varied_axes,
)
from balora.study.layouts import METRICS, TableLayout, selected, table_layouts
from balora.study.results import Metric, StudyResults
from balora.study.statistics import ALPHA, Comparison, Summary, TestName, compare_paired, holm, summarize

Verdict = Literal["better", "worse", "not significant", "not testable", ""]
Standing = Literal["clear", "leading", ""]

AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Published:
    """A number of a paper for the same place, in the units of the table."""

    value: float
    deviation: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a metric, at one level of the column axis or averaged over it."""

    title: str
    quantity: Quantity
    levels: Mapping[str, str]
    is_average: bool = False

    @property
    def metric(self) -> Metric:
        """What its numbers are."""
        at_level = next((m for at, m in self.quantity.at_level.items() if at in self.levels.values()), None)
        return self.quantity.shown if at_level is None else at_level


@dataclass(frozen=True, slots=True)
class TableCell:
    """What one place shows."""

    measured: Measured
    summary: Summary
    published: tuple[Published, ...] = ()
    versus: Comparison | None = None
    """Against the baseline at the same place; None for the baseline itself and where there is none. Where `closer` is
    better, of the distances to the ideal."""
    p_corrected: float | None = None
    """Holm's p value over its family."""
    standing: Standing = ""
    """`clear`: the best mean, and significantly better than every other (Holm over all pairs of its column).
    `leading`: the best mean, but not that."""

    @property
    def gap(self) -> str:
        """Why there is no number at all; empty where there is one."""
        return "" if self.summary.n else in_words(self.measured.missing)

    @property
    def verdict(self) -> Verdict:
        """How it stands to the baseline, at the corrected 5 % level."""
        if self.versus is None:
            return ""
        if self.p_corrected is None or self.versus.difference is None:
            return "not testable"
        if self.p_corrected >= ALPHA:
            return "not significant"
        return "better" if self.versus.difference * self.measured.metric.sign > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns."""

    title: str
    rows_axis: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, int], TableCell]
    """(row, index of the column) -> cell."""
    baseline: str | None
    test: TestName
    by_column: bool
    """Whether each column is a family of its own for Holm's correction."""
    tests: int = 0
    """Comparisons with a p value, in columns that are no averages."""
    average_tests: int = 0
    """The same in columns that are averages: a family of their own."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """The levels of the other axes."""

    @property
    def family(self) -> str:
        """What Holm's correction went over, in words."""
        if self.by_column:
            return "Holm over the comparisons of each column"
        parts = [f"{self.tests} comparisons"] if self.tests else []
        parts += [f"{self.average_tests} of averages"] if self.average_tests else []
        return f"Holm over {' and, apart, '.join(parts)}" if parts else "no test was possible"


def build_tables(results: StudyResults) -> list[Table]:
    """Every table that the study asks for, one per level of each axis that has no place in it.

    Raises:
        RecipeError: a layout does not fit the study.
    """
    if not results.metrics:
        return []
    return [table for layout in table_layouts(results) for table in _tables_of(results, layout)]


def _tables_of(results: StudyResults, layout: TableLayout) -> Iterable[Table]:
    varied = varied_axes(results)
    rows_axis = layout.rows or results.compare
    columns_axis = layout.columns or next(
        (axis for axis in varied if axis not in {rows_axis, layout.average_over}), METRICS
    )
    average = layout.average_over
    if average is None and columns_axis != METRICS and not numbers_of(results.axes[columns_axis]):
        average = columns_axis if columns_axis != results.compare else None
    average = None if average == "none" else average
    metrics = [metric_named(results, key) for key in layout.metrics or [metric.key for metric in results.metrics]]
    at_level = {level: metric_named(results, key) for level, key in layout.metric_of.items()}
    if at_level and layout.metrics is None:
        metrics = metrics[:1]
    others = [axis for axis in varied if axis not in {rows_axis, columns_axis, average}]
    pages = itertools.product(*(selected(results, layout.only, axis) for axis in others))
    sheets = [metrics] if columns_axis == METRICS else [[metric] for metric in metrics]
    for page in pages:
        fixed = dict(zip(others, page, strict=True))
        for sheet in sheets:
            columns = _columns(results, layout, columns_axis, average, [Quantity(m, at_level) for m in sheet])
            title = layout.title or _title(rows_axis, columns_axis, sheet)
            where = ", ".join(f"{axis} {level}" for axis, level in fixed.items())
            rows = selected(results, layout.only, rows_axis)
            table = Table(
                f"{title} ({where})" if where else title,
                rows_axis,
                rows,
                tuple(columns),
                {},
                results.baseline,
                layout.test,
                layout.family == "column",
                fixed=fixed,
            )
            yield _filled(results, table, published=layout.published)


def _title(rows: str, columns: str, sheet: Sequence[Metric]) -> str:
    if columns == METRICS:
        return f"{rows}: every metric" if len(sheet) > 1 else f"{sheet[0].title} by {rows}"
    return f"{sheet[0].title} by {rows} and {columns}"


def _columns(
    results: StudyResults, layout: TableLayout, axis: str, average: str | None, quantities: Sequence[Quantity]
) -> list[Column]:
    if axis == METRICS:
        averaged = [replace(quantity, average_over=average) for quantity in quantities]
        return [Column(quantity.shown.title, quantity, {}) for quantity in averaged]
    levels = selected(results, layout.only, axis)
    columns = []
    for quantity in quantities:
        inner = average if average != axis else None
        columns += [Column(level, replace(quantity, average_over=inner), {axis: level}) for level in levels]
        if average == axis and len(levels) == len(results.axes[axis]) > 1:
            over = replace(quantity, average_over=axis)
            title = AVERAGE + over.shown.title.removeprefix(quantity.metric.title)
            columns.append(Column(title, over, {}, is_average=True))
    return columns


def _filled(results: StudyResults, table: Table, *, published: bool) -> Table:
    cells: dict[tuple[str, int], TableCell] = {}
    for row in table.rows:
        for index, column in enumerate(table.columns):
            levels = {**table.fixed, **column.levels, table.rows_axis: row}
            found = measure(results, levels, column.quantity)
            numbers = tuple(_published(results, levels, column)) if published else ()
            versus = _against_baseline(results, found, column, table.test)
            cells[row, index] = TableCell(found, summarize(list(found.values.values())), numbers, versus)
    for family in _families(table):
        corrected = holm([_p_value(cells[place]) for place in family])
        cells |= {place: replace(cells[place], p_corrected=p) for place, p in zip(family, corrected, strict=True)}
    for group in _groups(results, table):
        for place, standing in _standings(cells, group).items():
            cells[place] = replace(cells[place], standing=standing)
    tested = [table.columns[index].is_average for (_, index), cell in cells.items() if _p_value(cell) is not None]
    return replace(table, cells=cells, tests=tested.count(False), average_tests=tested.count(True))


def _families(table: Table) -> list[list[tuple[str, int]]]:
    """The places whose tests are corrected together: averages are one question, single columns another."""
    columns = range(len(table.columns))
    if table.by_column:
        return [[(row, index) for row in table.rows] for index in columns]
    return [
        [(row, index) for row in table.rows for index in columns if table.columns[index].is_average == is_average]
        for is_average in (False, True)
    ]


def _p_value(cell: TableCell) -> float | None:
    return None if cell.versus is None else cell.versus.p_value


def _against_baseline(results: StudyResults, found: Measured, column: Column, test: TestName) -> Comparison | None:
    level = found.levels.get(results.compare)
    if results.baseline is None or level is None or level == results.baseline:
        return None
    base = measure(results, {**found.levels, results.compare: results.baseline}, column.quantity)
    return compare_paired(compared_values(found), compared_values(base), test=test)


def _groups(results: StudyResults, table: Table) -> list[list[tuple[str, int]]]:
    """The places that differ in nothing but the compared axis."""
    groups: dict[Any, list[tuple[str, int]]] = {}
    for row in table.rows:
        for index, column in enumerate(table.columns):
            levels = {**column.levels, table.rows_axis: row}
            rest = tuple(sorted((axis, level) for axis, level in levels.items() if axis != results.compare))
            groups.setdefault((rest, column.metric.key, column.quantity.average_over), []).append((row, index))
    return list(groups.values())


def _standings(
    cells: Mapping[tuple[str, int], TableCell], group: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Standing]:
    """Who is best, and whether that is more than luck; nobody where a number is missing on either side."""
    known = [place for place in group if cells[place].summary.n]
    if len(known) < 2:
        return {}
    sign = cells[known[0]].measured.metric.sign
    means = {place: sign * (compared_mean(cells[place].measured) or 0.0) for place in known}
    highest = max(means.values())
    best = [place for place in known if means[place] == highest]
    pairs = list(itertools.combinations(known, 2))
    values = {place: compared_values(cells[place].measured) for place in known}
    tests = [compare_paired(values[one], values[other]) for one, other in pairs]
    corrected = dict(zip(pairs, holm([test.p_value for test in tests]), strict=True))
    against_best = [p for pair, p in corrected.items() if best[0] in pair]
    complete = len(known) == len(group) and len({tuple(found) for found in values.values()}) == 1
    clear = len(best) == 1 and complete and all(p is not None and p < ALPHA for p in against_best)
    return dict.fromkeys(best, "clear" if clear else "leading")


def _published(results: StudyResults, levels: Mapping[str, str], column: Column) -> Iterable[Published]:
    """Numbers whose levels name this place: every axis that they name agrees, every varied axis is named."""
    axis = column.quantity.average_over
    if column.quantity.shown != column.quantity.metric:
        return  # what a paper averages is not the distance
    for entry in results.published:
        named = {str(key): str(level) for key, level in dict(entry.get("levels", {})).items()}
        if axis is not None and named.get(axis, AVERAGE) != AVERAGE:
            continue
        named = {key: level for key, level in named.items() if key != axis}
        varied = {key: level for key, level in levels.items() if len(results.axes[key]) > 1}
        if str(entry.get("metric", column.metric.key)) != column.metric.key:
            continue
        if all(levels.get(key, level) == level for key, level in named.items()) and varied.keys() <= named.keys():
            deviation = entry.get("deviation")
            source = str(entry.get("source", ""))
            yield Published(float(entry["value"]), None if deviation is None else float(deviation), source)
