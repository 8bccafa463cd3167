"""Which levels no other beats in two metrics; where closer to an ideal is better, by the mean distance to it."""

from __future__ import annotations

from collections.abc import Sequence

from balora.figures.front import Better, pareto_front
from balora.study import Metric
from balora.study.cells import Measured, compared_mean


def front_of(places: Sequence[tuple[Measured, Measured]], across: Metric, up: Metric) -> list[int]:
    """The places on the Pareto front of the means, by the first metric; each place has a value of both.

    Args:
        places: what was measured of `across` and of `up`.
        across: along the bottom.
        up: upwards.
    """
    x, y = ([compared_mean(place[side]) or 0.0 for place in places] for side in (0, 1))
    return pareto_front(x, y, _compared_direction(across), _compared_direction(up))


def better_of(metric: Metric) -> Better:
    """The direction of a metric as figures take it: a word, or the ideal value as shown."""
    return (metric.ideal or 0.0) * metric.scale if metric.better == "closer" else metric.better


def _compared_direction(metric: Metric) -> Better:
    return "higher" if metric.sign > 0 else "lower"
