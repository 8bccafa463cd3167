"""The summary in words: who leads, how certain that is, what was tuned, what failed."""

from __future__ import annotations

from collections.abc import Sequence

from balora.report.fairness import fairness
from balora.report.fronts import front_of
from balora.report.numbers import interval, mean_and_deviation, number, p_equals
from balora.report.sentences import Sentence
from balora.study import Metric, StudyResults
from balora.study.cells import numbers_of
from balora.study.choices import Choice
from balora.study.statistics import TEST_NAMES, Comparison
from balora.study.tables import Column, Table, TableCell

_MOST_COLUMNS = 2
"""With more columns than this the summary counts instead of telling each."""
_MOST_ROWS = 12


def summary(results: StudyResults, tables: Sequence[Table], chosen: Sequence[Choice]) -> list[Sentence]:
    """What a reader in a hurry should know, the most important first."""
    told = fairness(results, chosen)
    shared = told[0].tone == "warning" and not results.tuned
    found = told if shared else []
    if tables:
        found += _headline(results, tables[0])
        found += _trade_offs(results, tables[0])
    return [*found, *([] if shared else told), *_progress(results)]


def _headline(results: StudyResults, table: Table) -> list[Sentence]:
    """On the average where the table has one, else column by column."""
    if results.compare not in {table.rows_axis, *(axis for column in table.columns for axis in column.levels)}:
        return []
    first = table.columns[0].metric.key
    columns = [i for i, column in enumerate(table.columns) if column.metric.key == first or column.quantity.at_level]
    averages = [i for i in columns if table.columns[i].is_average]
    shown = averages or columns
    if table.rows_axis != results.compare:
        return _row_by_row(results, table)
    if len(shown) > _MOST_COLUMNS:
        return [Sentence(text) for text in (_leaders(results, table, shown), _counts(results, table, shown)) if text]
    sentences = [text for index in shown for text in _column(results, table, index)]
    return [Sentence(text) for text in sentences]


def _leaders(results: StudyResults, table: Table, shown: Sequence[int]) -> str:
    """Who leads in each of many columns, and where that is clear."""
    parts: dict[str, list[str]] = {}
    for index in shown:
        best = [row for row in table.rows if table.cells[row, index].standing]
        clear = any(table.cells[row, index].standing == "clear" for row in best)
        if best:
            names = " and ".join(_named(results.compare, row) for row in best)
            parts.setdefault(names, []).append(f"{table.columns[index].title}{'' if clear else '?'}")
    if not parts:
        return ""
    metric = table.columns[shown[0]].metric
    axis = next(iter(table.columns[shown[0]].levels), "column")
    listed = "; ".join(f"{names} at {axis} {', '.join(where)}" for names, where in parts.items())
    doubt = " A question mark: not significantly better than every other." if "?" in listed else ""
    return f"Best mean {metric.title}: {listed}.{doubt}"


def _counts(results: StudyResults, table: Table, shown: Sequence[int]) -> str:
    """Against the baseline, how often each level is better, worse, or neither."""
    parts = []
    for row in table.rows:
        verdicts = [table.cells[row, index].verdict for index in shown]
        said = [
            f"{v} {verdicts.count(v)}" for v in ("better", "worse", "not significant", "not testable") if v in verdicts
        ]
        if said:
            parts.append(f"{_named(results.compare, row)}: {', '.join(said)}")
    if not parts or results.baseline is None:
        return ""
    tests = f"{TEST_NAMES[table.test]}, {table.family}"
    baseline = _named(results.compare, results.baseline)
    return f"Against {baseline}, in how many of {len(shown)} columns ({tests}): {'; '.join(parts)}."


def _column(results: StudyResults, table: Table, index: int) -> list[str]:
    column = table.columns[index]
    cells = {row: table.cells[row, index] for row in table.rows if table.cells[row, index].summary.n}
    if not cells:
        return [f"{_where(table, column)}: nothing was measured yet."]
    best = [row for row, cell in cells.items() if cell.standing] or list(cells)
    metric = column.metric
    lead = cells[best[0]]
    extreme = {"higher": "highest", "lower": "lowest"}.get(metric.better, "best")
    names = " and ".join(_named(results.compare, row) for row in best)
    lacking = [f"{row} ({table.cells[row, index].gap})" for row in table.rows if row not in cells]
    text = (
        f"{_where(table, column)}: {names} {'has' if len(best) == 1 else 'have'} the {extreme} mean, "
        f"{mean_and_deviation(lead.summary, metric)}{_unit(metric)} over {_seeds(lead.summary.n)}"
        f"{f' ({metric.direction} is better, seed by seed)' if metric.better == 'closer' else ''}. "
    )
    if lead.summary.n == 1:
        text += "With one seed no test is possible: the order may be chance."
    elif len(cells) > 1:
        clear = "It is significantly better than every other, also after Holm's correction over all pairs."
        unclear = "It is not significantly better than every other: the order at the top may be chance."
        text += clear if lead.standing == "clear" else unclear
    without = [f"Without a number there: {'; '.join(lacking)}."] if lacking else []
    return [text, *_verdicts(results, table, cells, column), *without]


def _verdicts(results: StudyResults, table: Table, cells: dict[str, TableCell], column: Column) -> list[str]:
    """Against the baseline: better, worse, not significant, not testable."""
    if results.baseline is None or results.baseline not in cells:
        return []
    groups: dict[str, list[str]] = {}
    for row, cell in cells.items():
        if cell.versus is not None:
            groups.setdefault(cell.verdict, []).append(
                f"{_named(results.compare, row)} ({_evidence(cell.versus, cell.p_corrected, column.metric)})"
            )
    baseline = _named(results.compare, results.baseline)
    words = {
        "better": f"Significantly better than {baseline}",
        "worse": f"Significantly worse than {baseline}",
        "not significant": f"Not significantly different from {baseline}",
        "not testable": f"Not testable against {baseline}",
    }
    known = [verdict for verdict in words if verdict in groups]
    family = f"Holm over the {table.average_tests} comparisons of averages" if column.is_average else table.family
    tests = f" ({TEST_NAMES[table.test]}, {family})"
    testable = [verdict for verdict in known if verdict != "not testable"]
    return [f"{words[v]}{tests if v in testable[:1] else ''}: {'; '.join(groups[v])}." for v in known]


def _evidence(versus: Comparison, p_corrected: float | None, metric: Metric) -> str:
    unit = " points" if metric.unit == "%" else _unit(metric)
    difference = f"{number(versus.difference, metric.digits, signed=True)}{unit}"
    if metric.better == "closer":
        difference += f" in the distance to {metric.direction.removeprefix('closer to ')}"
    if p_corrected is None:
        return f"{difference}, {versus.note}" if versus.difference is not None else versus.note
    around = interval(versus.low, versus.high, metric.digits, signed=True)
    return f"{difference} {around}, {p_equals(p_corrected)}"


def _row_by_row(results: StudyResults, table: Table) -> list[Sentence]:
    """The compared axis runs along the top: who leads in each row."""
    leaders = []
    for row in table.rows[:_MOST_ROWS]:
        best = [
            column.levels[results.compare]
            for index, column in enumerate(table.columns)
            if table.cells[row, index].standing and results.compare in column.levels
        ]
        if best:
            leaders.append(f"{row}: {' and '.join(best)}")
    title = table.columns[0].metric.title
    return [Sentence(f"The best mean {title} by {table.rows_axis}: {'; '.join(leaders)}.")] if leaders else []


def _trade_offs(results: StudyResults, table: Table) -> list[Sentence]:
    """Which levels no other beats on the first metric and another one, where the table has both as columns."""
    if table.rows_axis != results.compare or len(results.metrics) < 2:
        return []
    by_key = {column.metric.key: index for index, column in enumerate(table.columns) if not column.levels}
    first = results.metrics[0]
    sentences = []
    for other in results.metrics[1:4]:
        if first.key not in by_key or other.key not in by_key:
            continue
        up, across = by_key[first.key], by_key[other.key]
        found = {row: (table.cells[row, across].measured, table.cells[row, up].measured) for row in table.rows}
        known = {row: pair for row, pair in found.items() if all(each.values for each in pair)}
        if len(known) < 2:
            continue
        front = [list(known)[index] for index in front_of(list(known.values()), other, first)]
        sentences.append(
            Sentence(
                f"Trade-off of {first.title} and {other.title}: on the Pareto front of the means: {', '.join(front)}."
            )
        )
    return sentences


def _progress(results: StudyResults) -> list[Sentence]:
    final = [run for run in results.runs if run.stage == "final"]
    counts = {state: sum(run.state == state for run in final) for state in ("done", "failed")}
    pending = len(final) - counts["done"] - counts["failed"]
    failed_tuning = sum(run.stage == "tune" and run.state == "failed" for run in results.runs)
    parts = [f"{counts['done']} of {len(final)} final runs are done"]
    parts += [f"{counts['failed']} failed (listed below, with their errors)"] if counts["failed"] else []
    parts += [f"{pending} have not finished, so every number may still change"] if pending else []
    parts += [f"{failed_tuning} tuning runs failed"] if failed_tuning else []
    troubled = bool(counts["failed"] or pending or failed_tuning)
    found = [Sentence(f"{'; '.join(parts)}.", "warning" if troubled else "plain")]
    if len(results.seeds) < 2:
        found.append(
            Sentence("There is one seed: no interval and no test is possible, and any order may be chance.", "warning")
        )
    elif len(results.seeds) < 5:
        found.append(
            Sentence(
                f"{len(results.seeds)} seeds show only large differences; not significant is not the same as equal."
            )
        )
    return found


def _named(axis: str, level: str) -> str:
    """A level by its name; a number needs its axis."""
    return f"{axis} {level}" if numbers_of([level]) else level


def _where(table: Table, column: Column) -> str:
    title = column.metric.title[:1].upper() + column.metric.title[1:]
    place = [f"{axis} {level}" for axis, level in [*table.fixed.items(), *column.levels.items()]]
    if column.quantity.average_over:
        place.append(f"mean over {column.quantity.average_over}")
    return f"{title} ({', '.join(place)})" if place else title


def _unit(metric: Metric) -> str:
    return f" {metric.unit}" if metric.unit else ""


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
