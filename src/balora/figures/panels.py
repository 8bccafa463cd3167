"""Small panels side by side: what training logged, and spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from balora.figures.looks import fit, legend_below, look
from balora.figures.series import Line
from balora.figures.style import new_figure

PANEL_INCHES = 2.15
_MOST_COLUMNS = 3


def draw_curves(panels: Mapping[str, Sequence[Line]], names: Sequence[str], x_label: str = "step") -> Figure:
    """One panel per quantity, one line per name; the band is the range over seeds.

    Args:
        panels: title of a panel -> its lines; a name that has no line there keeps its colour elsewhere.
        names: every name, in the order of the legend.
        x_label: below each column.
    """
    columns = min(_MOST_COLUMNS, len(panels)) or 1
    rows = -(-len(panels) // columns)
    legend_rows = -(-len(names) // 3)
    figure, axes = new_figure(rows, columns, width=7.4, height=PANEL_INCHES * rows + 0.35 + 0.18 * legend_rows)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for index, (panel, (title, lines)) in enumerate(zip(axes, panels.items(), strict=False)):
        for line in lines:
            shown = look(names.index(line.name))
            panel.plot(line.x, [s.mean for s in line.y], color=shown.colour, linestyle=shown.dash, linewidth=1.3)
            lows, highs = [s.mean - s.arms[0] for s in line.y], [s.mean + s.arms[1] for s in line.y]
            panel.fill_between(line.x, lows, highs, color=shown.colour, alpha=0.15, linewidth=0)
        panel.set_title(fit(title, 30), fontsize=9, loc="left")
        panel.tick_params(labelsize=7.5)
        panel.grid(color="#e9e9e9", linewidth=0.5)
        if index + columns >= len(panels):
            panel.set_xlabel(x_label, fontsize=8)
    legend_below(figure, names, lines=True)
    return figure


def draw_spectra(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Singular values, the largest first, each as a share of the largest; one panel per title, base beside tuned.

    Args:
        panels: title -> name -> values.
    """
    columns = min(_MOST_COLUMNS, len(panels)) or 1
    rows = -(-len(panels) // columns)
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    figure, axes = new_figure(rows, columns, width=7.4, height=PANEL_INCHES * rows + 0.5)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for panel, (title, curves) in zip(axes, panels.items(), strict=False):
        for name, values in curves.items():
            shown = look(names.index(name))
            top = max((abs(value) for value in values), default=0.0) or 1.0
            shares = [value / top for value in values]
            ranks = range(1, len(shares) + 1)
            panel.plot(ranks, shares, color=shown.colour, marker=shown.marker, markersize=3, linewidth=1.2)
        panel.set_title(fit(title, 30), fontsize=9, loc="left")
        panel.set_xlabel("number", fontsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=7.5)
        panel.grid(color="#e9e9e9", linewidth=0.5)
    axes[0].set_ylabel("share of the largest", fontsize=8)
    legend_below(figure, names, lines=True)
    return figure
