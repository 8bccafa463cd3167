"""Figures of what was measured: dots, bars, lines, fronts, heat maps, costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from balora.figures.dots import draw_bars, draw_dots
from balora.figures.front import draw_front
from balora.figures.heat import draw_heat_map
from balora.figures.lines import draw_lines
from balora.figures.series import Group, Line, Spread
from balora.report.drawn import Drawn, Page, pages, svg_of
from balora.report.fronts import better_of, front_of
from balora.report.numbers import interval, label_of, mean_and_deviation, number
from balora.study import Metric, StudyResults
from balora.study.cells import (
    COSTS,
    Measured,
    Quantity,
    compared_mean,
    final_runs,
    in_words,
    measure,
    metric_named,
    numbers_of,
    varied_axes,
)
from balora.study.layouts import FigureLayout, numeric_axes, selected
from balora.study.statistics import Summary, summarize

_INTERVALS = "Bars and bands are 95 % intervals over seeds."


def score_figures(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    """The figures of one layout that asks for measured quantities."""
    draw = {
        "dots": _dots,
        "bars": _dots,
        "lines": _lines,
        "front": _front,
        "heatmap": _heat_map,
        "cost": _cost,
    }[layout.kind]
    yield from draw(results, layout)


def _quantity(results: StudyResults, layout: FigureLayout, key: str | None, fallback: int = 0) -> Quantity | None:
    if key is None and fallback >= len(results.metrics):
        return None
    metric = results.metrics[fallback] if key is None else metric_named(results, key)
    at_level = {level: metric_named(results, name) for level, name in layout.metric_of.items()} if fallback == 0 else {}
    return Quantity(metric, at_level, layout.average_over)


def _spread(found: Measured) -> Spread | None:
    summary = summarize(list(found.values.values()))
    if summary.mean is None:
        return None
    return Spread(summary.mean, summary.low, summary.high, list(found.values.values()))


def _cells(found: Measured) -> list[str]:
    summary: Summary = summarize(list(found.values.values()))
    metric = found.metric
    return [
        str(summary.n),
        mean_and_deviation(summary, metric),
        interval(summary.low, summary.high, metric.digits),
        in_words(found.missing),
    ]


_CELL_HEADER = ("seeds", "mean ± sd", "95 % interval", "missing")


def _dots(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    quantity = _quantity(results, layout, layout.metric)
    if quantity is None:
        return
    axis = results.compare
    over = f", mean over {layout.average_over}" if layout.average_over else ""
    for page in pages(results, layout, [axis, layout.average_over]):
        levels = selected(results, layout.only, axis)
        found = {level: measure(results, {**page.fixed, axis: level}, quantity) for level in levels}
        spreads = {level: spread for level, each in found.items() if (spread := _spread(each))}
        title = page.titled(layout.title or f"{quantity.shown.title} by {axis}{over}")
        if not spreads:
            yield Drawn(layout.kind, title, "Nothing was measured yet.", "")
            continue
        names, values = list(spreads), list(spreads.values())
        label = label_of(quantity.shown) + over
        if layout.kind == "bars":
            figure = draw_bars(names, [(label, values)])
        else:
            figure = draw_dots(names, values, label, reference=results.baseline)
        caption = (
            f"Mean over seeds with its 95 % interval{', rings are single seeds' if layout.kind == 'dots' else ''}."
        )
        rows = [[level, *_cells(each)] for level, each in found.items()]
        yield Drawn(layout.kind, title, caption, svg_of(figure), (axis, *_CELL_HEADER), rows)


def _lines(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    quantity = _quantity(results, layout, layout.metric)
    axis = layout.x or next(iter(numeric_axes(results)), None)
    if quantity is None or axis is None:
        return
    title = layout.title or f"{quantity.shown.title} along {axis}"
    levels = selected(results, layout.only, axis)
    places = numbers_of(levels)
    if places is None:
        yield Drawn("lines", title, f"No lines: the levels of {axis} are not all numbers.", "")
        return
    compared = results.compare if results.compare != axis else _other_axis(results, axis, layout.average_over)
    for page in pages(results, layout, [axis, compared, layout.average_over]):
        lines: list[Line] = []
        rows: list[list[str]] = []
        for name in selected(results, layout.only, compared) if compared else ("",):
            at = {**page.fixed, **({compared: name} if compared else {})}
            found = [measure(results, {**at, axis: level}, quantity) for level in levels]
            known = [(x, spread) for x, each in zip(places, found, strict=True) if (spread := _spread(each))]
            known.sort(key=lambda pair: pair[0])
            if known:
                lines.append(Line(name, [x for x, _ in known], [spread for _, spread in known]))
            rows += [[name, level, *_cells(each)] for level, each in zip(levels, found, strict=True)]
        svg = svg_of(draw_lines(lines, axis, label_of(quantity.shown))) if lines else ""
        caption = f"Means over seeds. {_INTERVALS}" if lines else "Nothing was measured yet."
        yield Drawn("lines", page.titled(title), caption, svg, (compared or "", axis, *_CELL_HEADER), rows)


def _other_axis(results: StudyResults, *taken: str | None) -> str | None:
    return next((axis for axis in varied_axes(results) if axis not in taken), None)


def _front(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    up, across = _quantity(results, layout, layout.metric), _quantity(results, layout, layout.against, fallback=1)
    if up is None or across is None:
        return
    axis, along = results.compare, layout.along
    title = layout.title or f"{up.shown.title} against {across.shown.title}"
    for page in pages(results, layout, [axis, along, layout.average_over]):
        groups: list[Group] = []
        rows: list[list[str]] = []
        places: list[tuple[Measured, Measured, int]] = []
        for level in selected(results, layout.only, axis):
            points: list[tuple[Spread, Spread, str]] = []
            for stop in selected(results, layout.only, along) if along else ("",):
                at = {**page.fixed, axis: level, **({along: stop} if along else {})}
                found = measure(results, at, across), measure(results, at, up)
                x, y = (_spread(each) for each in found)
                if x is not None and y is not None:
                    points.append((x, y, stop))
                    places.append((found[0], found[1], len(rows)))
                rows.append(
                    [f"{level} {stop}".strip(), *(mean_and_deviation(_summary(f), f.metric) for f in found), ""]
                )
            if points:
                groups.append(
                    Group(level, [x for x, _, _ in points], [y for _, y, _ in points], [n for *_, n in points])
                )
        if not groups:
            yield Drawn("front", page.titled(title), "No run has both quantities yet.", "")
            continue
        better = better_of(across.shown), better_of(up.shown)
        front = front_of([(x, y) for x, y, _ in places], across.shown, up.shown)
        for index in front:
            rows[places[index][2]][-1] = "on the front"
        figure = draw_front(groups, (label_of(across.shown), label_of(up.shown)), better, front)
        names = ", ".join(rows[places[index][2]][0] for index in front)
        caption = (
            f"Filled marks are on the Pareto front of the means (no other has a better mean in both): {names}. "
            "Crosses are 95 % intervals over seeds; where they overlap, the order may be chance."
        )
        header = (axis if not along else f"{axis}, {along}", across.shown.title, up.shown.title, "")
        yield Drawn("front", page.titled(title), caption, svg_of(figure), header, rows)


def _summary(found: Measured) -> Summary:
    return summarize(list(found.values.values()))


def _heat_map(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    quantity = _quantity(results, layout, layout.metric)
    numeric = numeric_axes(results)
    across = layout.x or next((axis for axis in numeric if axis != layout.y), None)
    down = layout.y or next((axis for axis in [*numeric, *varied_axes(results)] if axis != across), None)
    if quantity is None or across is None or down is None:
        return
    title = layout.title or f"{quantity.shown.title} over {down} and {across}"
    rows, columns = selected(results, layout.only, down), selected(results, layout.only, across)
    for page in pages(results, layout, [down, across, layout.average_over]):
        grid = [
            [measure(results, {**page.fixed, down: row, across: column}, quantity) for column in columns]
            for row in rows
        ]
        means = [[_summary(found).mean for found in line] for line in grid]
        if all(mean is None for line in means for mean in line):
            yield Drawn("heatmap", page.titled(title), "Nothing was measured yet.", "")
            continue
        best = _best_cell([[compared_mean(found) for found in line] for line in grid], quantity.shown)
        labels = down, across, label_of(quantity.shown)
        digits = quantity.shown.digits
        figure = draw_heat_map(rows, columns, means, labels=labels, digits=digits, best=best)
        caption = (
            f"Mean over seeds; the best cell is framed ({down} {rows[best[0]]}, {across} {columns[best[1]]}: "
            f"{mean_and_deviation(_summary(grid[best[0]][best[1]]), quantity.shown)})."
        )
        header = (f"{down} \\ {across}", *columns)
        table = [
            [row, *(mean_and_deviation(_summary(found), quantity.shown) for found in line)]
            for row, line in zip(rows, grid, strict=True)
        ]
        yield Drawn("heatmap", page.titled(title), caption, svg_of(figure), header, table)


def _best_cell(means: Sequence[Sequence[float | None]], metric: Metric) -> tuple[int, int]:
    known = {
        (r, c): metric.sign * mean for r, line in enumerate(means) for c, mean in enumerate(line) if mean is not None
    }
    return max(known, key=lambda place: known[place])


def _cost(results: StudyResults, layout: FigureLayout) -> Iterator[Drawn]:
    """Time and memory over all runs that are done; bars without intervals where runs of different tasks are pooled."""
    axis = results.compare
    levels = selected(results, layout.only, axis)
    page = Page({})
    title = layout.title or f"Cost by {axis}"
    shown: list[Metric] = []
    values: dict[tuple[str, str], list[float]] = {}
    for metric in COSTS:
        for level in levels:
            runs = [run for run in final_runs(results, {axis: level}) if run.state == "done"]
            values[level, metric.key] = [run.scores[metric.key] for run in runs if metric.key in run.scores]
        if any(values[level, metric.key] for level in levels):
            shown.append(metric)
    if any(metric.key == "cost.peak_gpu_gib" for metric in shown):
        shown = [metric for metric in shown if metric.key != "cost.peak_cpu_gib"]
    if not shown:
        return
    pooled = len([each for each in varied_axes(results) if each != axis]) > 0
    panels = []
    for metric in shown:
        found = [summarize(values[level, metric.key]) for level in levels]
        low_high = [(None, None) if pooled else (s.low, s.high) for s in found]
        spreads = [
            None if s.mean is None else Spread(s.mean, low, high)
            for s, (low, high) in zip(found, low_high, strict=True)
        ]
        panels.append((f"{label_of(metric)} per run", spreads))
    rows = [
        [
            level,
            *(number(summarize(values[level, metric.key]).mean, metric.digits) for metric in shown),
            str(len(values[level, shown[0].key])),
        ]
        for level in levels
    ]
    what = "Mean over all runs of each" if pooled else "Mean over seeds with its 95 % interval, of each"
    caption = f"{what} {axis}, as the runs recorded it; runs that shared a machine slow each other down."
    header = (axis, *(label_of(metric) for metric in shown), "runs")
    yield Drawn("cost", page.titled(title), caption, svg_of(draw_bars(list(levels), panels)), header, rows)
