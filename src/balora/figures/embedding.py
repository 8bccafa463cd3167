"""Rows as points of a plane, one panel for each step of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from balora.figures.looks import fit, legend_below, look
from balora.figures.style import new_figure

PANEL_INCHES = 2.5
PANELS_PER_LINE = 4
WIDEST_INCHES = 7.4


def embedding_panels(
    panels: Sequence[ArrayLike], titles: Sequence[str], labels: Sequence[int], label_names: Sequence[str]
) -> Figure:
    """Panels of the same size and limits; a class has one colour and one marker in all of them.

    Args:
        panels: (rows, 2) for each step.
        titles: one for each panel.
        labels: class of every row; empty where rows have none.
        label_names: by class.
    """
    clouds = [np.asarray(points, dtype=float).reshape(-1, 2) for points in panels]
    lines = -(-len(clouds) // PANELS_PER_LINE)
    columns = -(-len(clouds) // lines)
    width = min(PANEL_INCHES * columns, WIDEST_INCHES)
    figure, axes = new_figure(lines, columns, width=width, height=width / columns * lines + 0.75)
    reach = 1.08 * max((float(np.abs(points).max(initial=0.0)) for points in clouds), default=1.0) or 1.0
    classes = np.asarray(labels) if len(labels) else np.zeros(len(clouds[0]), dtype=int)
    # The rarest class is drawn last, on top.
    order = sorted(np.unique(classes).tolist(), key=lambda each: -int((classes == each).sum()))
    for axis, points, title in zip(axes, clouds, titles, strict=False):
        for each in order:
            across, up = points[classes == each].T
            shown = look(each)
            axis.scatter(across, up, s=11, alpha=0.75, linewidths=0, color=shown.colour, marker=shown.marker)
        axis.set_title(fit(title, 34), fontsize=9)
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
        axis.spines[:].set_visible(True)
        axis.spines[:].set_color("#bbbbbb")
    for axis in axes[len(clouds) :]:
        axis.set_axis_off()
    legend_below(figure, label_names if len(labels) else [], lines=False)
    return figure
