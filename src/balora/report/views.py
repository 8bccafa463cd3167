"""Tables as a page shows them: every text ready, nothing left to compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from balora.report.numbers import effect, interval, number, p_value, published
from balora.study import StudyResults
from balora.study.cells import in_words
from balora.study.statistics import ALPHA, TEST_NAMES, smallest_p
from balora.study.tables import Table, TableCell

TEST_HEADER = ("", "column", "pairs", "difference", "95 % interval", "p", "p (Holm)", "g", "verdict", "remark")
_MARKS = {"better": ("▲", "up"), "worse": ("▼", "down"), "not testable": ("○", "untested")}


@dataclass(frozen=True, slots=True)
class PrintedView:
    """A paper's number below ours."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell in words."""

    value: str
    """What sorting goes by; empty where there is no number."""
    is_average: bool
    gap: str
    """Why there is no number."""
    mean: str = ""
    deviation: str = ""
    interval: str = ""
    standing: str = ""
    mark: str = ""
    mark_class: str = ""
    mark_title: str = ""
    partial: str = ""
    """That some seeds are missing."""
    missing: str = ""
    """Why they are."""
    printed: Sequence[PrintedView] = ()


@dataclass(frozen=True, slots=True)
class ColumnView:
    """The head of a column."""

    title: str
    better: str
    direction: str
    """Which way is better, in words."""
    is_average: bool


@dataclass(frozen=True, slots=True)
class RowView:
    """One row."""

    name: str
    is_baseline: bool
    cells: Sequence[CellView]


@dataclass(frozen=True, slots=True)
class TableView:
    """One table with its legend, and its tests as a table of their own."""

    title: str
    rows_axis: str
    over: str
    """The axis of the columns; empty where they are metrics."""
    columns: Sequence[ColumnView]
    rows: Sequence[RowView]
    legend: str
    notes: Sequence[str]
    tests: Sequence[Sequence[str]]
    test_header: Sequence[str]


def view(results: StudyResults, table: Table) -> TableView:
    """The table as a page shows it."""
    columns = [
        ColumnView(_column_title(table, index), column.metric.better, column.metric.direction, column.is_average)
        for index, column in enumerate(table.columns)
    ]
    rows = [
        RowView(
            row,
            table.rows_axis == results.compare and row == table.baseline,
            [
                _cell(results, table, table.cells[row, index], is_average=column.is_average)
                for index, column in enumerate(table.columns)
            ],
        )
        for row in table.rows
    ]
    tests = list(comparison_rows(table))
    header = (results.compare if table.rows_axis == results.compare else table.rows_axis, *TEST_HEADER[1:])
    over = next((axis for column in table.columns for axis in column.levels), "")
    return TableView(
        table.title, table.rows_axis, over, columns, rows, _legend(results, table), _notes(table), tests, header
    )


def comparison_rows(table: Table) -> list[list[str]]:
    """Every comparison with the baseline, one line each, in the order of the table."""
    rows = []
    for (row, index), cell in table.cells.items():
        versus = cell.versus
        if versus is None or not cell.summary.n:
            continue
        digits = cell.measured.metric.digits + 1
        rows.append(
            [
                row,
                _column_title(table, index),
                str(len(versus.seeds)),
                number(versus.difference, digits, signed=True),
                interval(versus.low, versus.high, digits, signed=True),
                p_value(versus.p_value),
                p_value(cell.p_corrected),
                effect(versus),
                cell.verdict,
                "; ".join(part for part in (_distance_note(cell), versus.note) if part),
            ]
        )
    return rows


def _distance_note(cell: TableCell) -> str:
    metric = cell.measured.metric
    return f"of the distance to {metric.direction.removeprefix('closer to ')}" if metric.better == "closer" else ""


def _column_title(table: Table, index: int) -> str:
    column = table.columns[index]
    unit = f" ({column.metric.unit})" if column.metric.unit and not (column.levels or column.is_average) else ""
    return f"{column.title}{unit}"


def _cell(results: StudyResults, table: Table, cell: TableCell, *, is_average: bool) -> CellView:
    metric, summary = cell.measured.metric, cell.summary
    printed = [PrintedView(published(entry, metric.digits), entry.source) for entry in cell.published]
    if summary.mean is None:
        return CellView("", is_average, cell.gap, printed=printed)
    wanted = len(results.seeds)
    mark, mark_class = _MARKS.get(cell.verdict, ("", ""))
    title = f"{'significantly ' if cell.verdict in {'better', 'worse'} else ''}{cell.verdict}"
    return CellView(
        value=repr(summary.mean),
        is_average=is_average,
        gap="",
        mean=number(summary.mean, metric.digits),
        deviation="" if summary.deviation is None else number(summary.deviation, metric.digits),
        interval=interval(summary.low, summary.high, metric.digits),
        standing=cell.standing,
        mark=mark,
        mark_class=mark_class,
        mark_title=f"{title} {'against' if mark_class == 'untested' else 'than'} {table.baseline}" if mark else "",
        partial=f"{summary.n} of {wanted} seeds" if summary.n < wanted else "",
        missing=in_words(cell.measured.missing),
        printed=printed,
    )


def _legend(results: StudyResults, table: Table) -> str:
    units = {column.metric.unit for column in table.columns if column.levels and column.metric.unit}
    words = [f"In {', '.join(sorted(units))}." if units else ""]
    seeds = len(results.seeds)
    words.append(
        "Mean ± standard deviation over seeds, below it the 95 % interval." if seeds > 1 else "One seed: no spread."
    )
    if table.baseline is not None and table.tests:
        words.append(
            f"▲ ▼ significantly better or worse than {table.baseline} ({TEST_NAMES[table.test]}, {table.family}, "
            f"p < {ALPHA}); no mark: not significant; ○ not testable."
        )
    ideals = dict.fromkeys(
        f"{column.metric.title} ({column.metric.direction})"
        for column in table.columns
        if column.metric.better == "closer"
    )
    if ideals:
        words.append(f"Best and compared by the distance, seed by seed: {', '.join(ideals)}.")
    if any(cell.standing == "clear" for cell in table.cells.values()):
        words.append("Bold: best, and significantly better than every other (Holm over all pairs).")
    if any(cell.standing == "leading" for cell in table.cells.values()):
        words.append("Underlined: best mean, but not significantly better than every other.")
    return " ".join(word for word in words if word)


def _notes(table: Table) -> list[str]:
    notes = []
    pairs = max((len(cell.versus.seeds) for cell in table.cells.values() if cell.versus), default=0)
    if table.test != "t" and pairs and smallest_p(pairs) > ALPHA:
        notes.append(
            f"With {pairs} seeds the {TEST_NAMES[table.test]} cannot go below p = {smallest_p(pairs):.3g}: nothing "
            "here can be significant. More seeds, or the paired t-test, would tell more."
        )
    sources = dict.fromkeys(entry.source for cell in table.cells.values() for entry in cell.published if entry.source)
    if sources:
        notes.append(f"Numbers marked paper are published ones: {'; '.join(sources)}.")
    return notes
