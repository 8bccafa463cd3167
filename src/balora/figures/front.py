"""Two quantities against each other, and which things no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib.figure import Figure

from balora.figures.looks import fit, legend_below, look
from balora.figures.series import Group
from balora.figures.style import new_figure

Better = Literal["higher", "lower"] | float
"""A number: the closer to it the better."""


def pareto_front(x: Sequence[float], y: Sequence[float], x_better: Better, y_better: Better) -> list[int]:
    """The points that no other point beats: none is at least as good in both and better in one; by x.

    >>> pareto_front([1, 2, 3], [1, 3, 2], "higher", "higher")
    [1, 2]
    """
    points = [(_merit(a, x_better), _merit(b, y_better)) for a, b in zip(x, y, strict=True)]
    kept = [
        index
        for index, (a, b) in enumerate(points)
        if not any((c >= a and d >= b) and (c > a or d > b) for c, d in points)
    ]
    return sorted(kept, key=lambda index: (x[index], y[index]))


def _merit(value: float, better: Better) -> float:
    if isinstance(better, str):
        return value if better == "higher" else -value
    return -abs(value - better)


def draw_front(
    groups: Sequence[Group],
    labels: tuple[str, str],
    better: tuple[Better, Better],
    front: Sequence[int] | None = None,
) -> Figure:
    """Means with intervals both ways; on the front filled, off it hollow, the front as a grey step.

    Args:
        groups: in the order of the legend; the points of one are joined by a thin line.
        labels: of x and y, with units.
        better: of x and y; an ideal value is drawn as a dotted line.
        front: the points that no other beats, counted through the groups. Left out: by their means.
    """
    rows = -(-len(groups) // 3)
    figure, (panel,) = new_figure(height=3.7 + 0.18 * rows)
    x = [spread.mean for group in groups for spread in group.x]
    y = [spread.mean for group in groups for spread in group.y]
    front = sorted(pareto_front(x, y, *better) if front is None else front, key=lambda index: (x[index], y[index]))
    for line, ideal in ((panel.axvline, better[0]), (panel.axhline, better[1])):
        if not isinstance(ideal, str):
            line(ideal, color="#999999", linewidth=0.8, linestyle=":")
    where: Literal["pre", "post"] = "post" if better[0] == "lower" else "pre"
    corners = [x[i] for i in front], [y[i] for i in front]
    panel.step(*corners, where=where, color="#b5b5b5", linewidth=5, alpha=0.5, zorder=0)
    number = 0
    for index, group in enumerate(groups):
        shown = look(index)
        if len(group.x) > 1:
            means = [s.mean for s in group.x], [s.mean for s in group.y]
            panel.plot(*means, color=shown.colour, linestyle=shown.dash, linewidth=0.8, alpha=0.7)
        for position, (across, up) in enumerate(zip(group.x, group.y, strict=True)):
            arms = [[arm] for arm in across.arms], [[arm] for arm in up.arms]
            panel.errorbar(
                [across.mean],
                [up.mean],
                xerr=arms[0],
                yerr=arms[1],
                color=shown.colour,
                marker=shown.marker,
                markersize=8,
                markerfacecolor=shown.colour if number in front else "white",
                elinewidth=0.8,
                alpha=0.95,
            )
            if position < len(group.notes) and group.notes[position]:
                panel.annotate(
                    fit(group.notes[position], 14),
                    (across.mean, up.mean),
                    xytext=(5, 4),
                    textcoords="offset points",
                    fontsize=7,
                    color="#555555",
                )
            number += 1
    panel.set_xlabel(_with_direction(labels[0], better[0], "→", "←"))
    panel.set_ylabel(_with_direction(labels[1], better[1], "↑", "↓"))
    panel.grid(color="#e4e4e4", linewidth=0.6)
    legend_below(figure, [group.name for group in groups], lines=False)
    return figure


def _with_direction(label: str, better: Better, higher: str, lower: str) -> str:
    if not isinstance(better, str):
        return f"{fit(label, 50)}   (better: closer to {better:g})"
    arrow = higher if better == "higher" else lower
    return f"{fit(label, 50)}   (better {arrow})"
