"""What was measured at one place of a study's grid: a value per seed, and why the others are missing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from balora.artefacts import read_record
from balora.errors import RecipeError, did_you_mean
from balora.study.results import Metric, Run, StudyResults

COSTS = (
    Metric("cost.train_s", "training time", "lower", digits=1, unit="s"),
    Metric("cost.peak_cpu_gib", "peak memory", "lower", digits=2, unit="GiB"),
    Metric("cost.peak_gpu_gib", "peak GPU memory", "lower", digits=2, unit="GiB"),
)
"""What a run cost, from its `run.json`: keys that tables and figures may name beside the study's metrics."""

_COST_NAMES = {
    "cost.train_s": "train_seconds",
    "cost.peak_cpu_gib": "peak_cpu_gib",
    "cost.peak_gpu_gib": "peak_gpu_gib",
}
_NOT_RUN = {"waiting": "has not run yet", "running": "is still running", "interrupted": "was interrupted"}
_NUMBER = re.compile(r"^(?:[^=]*=)?\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)$")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a cell shows: a metric, perhaps another one at some levels, perhaps averaged over an axis."""

    metric: Metric
    at_level: Mapping[str, Metric] = field(default_factory=dict)
    """Level -> the metric that counts there in place of `metric`, for tasks that are scored differently."""
    average_over: str | None = None
    """The axis that is averaged away, seed by seed."""

    @property
    def shown(self) -> Metric:
        """What its numbers are: an average of values that should be close to an ideal is one of distances to it."""
        return self.metric if self.average_over is None else self.metric.distance


@dataclass(frozen=True, slots=True)
class Gap:
    """A value that is not there."""

    reason: str
    seed: int | None = None
    """None where it is missing for all seeds alike."""
    place: str = ""
    """The level of an averaged axis that lacks it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of one cell, as they are shown."""

    levels: Mapping[str, str]
    metric: Metric
    values: Mapping[int, float]
    """Seed -> value times the metric's scale."""
    missing: tuple[Gap, ...]
    """One for each seed that the study asks for and that has no value."""


def measure(results: StudyResults, levels: Mapping[str, str], quantity: Quantity) -> Measured:
    """The final runs at these levels; axes with a single level need not be named.

    An average over an axis takes only seeds for which every level of that axis has a value, so that no average mixes
    different tasks. Where `closer` is better it is one of distances to the ideal: gaps of -5 and 5 are no gap of 0.

    Raises:
        RecipeError: an axis with several levels is neither fixed nor averaged.
    """
    if quantity.average_over is None:
        metric = next((m for at, m in quantity.at_level.items() if at in levels.values()), quantity.metric)
        return _measure_one(results, _all_levels(results, levels), metric)
    axis = quantity.average_over
    parts = [
        measure(results, {**levels, axis: level}, replace(quantity, average_over=None)) for level in results.axes[axis]
    ]
    metric = quantity.metric
    if any(part.metric.direction != metric.direction for part in parts):
        return Measured(levels, metric, {}, (Gap(f"the metrics along {axis} have different directions"),))
    complete = set(results.seeds).intersection(*(part.values for part in parts))
    compared = [compared_values(part) for part in parts]
    values = {seed: math.fsum(part[seed] for part in compared) / len(parts) for seed in sorted(complete)}
    missing = tuple(replace(gap, place=part.levels[axis]) for part in parts for gap in part.missing)
    return Measured(levels, quantity.shown, values, missing)


def compared_values(found: Measured) -> dict[int, float]:
    """Seed -> what the value there is compared by: itself, or its distance to the metric's ideal."""
    return {seed: found.metric.compared(value) for seed, value in found.values.items()}


def compared_mean(found: Measured) -> float | None:
    """The mean of what values are compared by; None where there are none."""
    values = compared_values(found)
    return math.fsum(values.values()) / len(values) if values else None


def in_words(gaps: Sequence[Gap]) -> str:
    """Why values are missing, seeds with the same reason together.

    >>> in_words([Gap("failed", 0, "RTE"), Gap("failed", 2, "RTE"), Gap("has not run yet", 1)])
    'RTE: seeds 0, 2 failed; seed 1 has not run yet'
    """
    seeds: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        seeds.setdefault((gap.place, gap.reason), []).extend([] if gap.seed is None else [str(gap.seed)])
    parts = []
    for (place, reason), found in seeds.items():
        who = f"seed{'s' if len(found) > 1 else ''} {', '.join(found)} " if found else ""
        parts.append(f"{place}: {who}{reason}" if place else f"{who}{reason}")
    return "; ".join(parts)


def final_runs(results: StudyResults, levels: Mapping[str, str]) -> list[Run]:
    """The runs at these levels that count in the tables, by seed."""
    found = [run for run in results.runs if run.stage == "final" and levels.items() <= run.levels.items()]
    return sorted(found, key=lambda run: run.seed)


def metric_named(results: StudyResults, key: str) -> Metric:
    """The study's metric of this key, or one of the costs.

    Raises:
        RecipeError: there is none.
    """
    known = {metric.key: metric for metric in (*COSTS, *results.metrics)}
    if key not in known:
        raise RecipeError.at(results.name, f"no metric has the key '{key}'", did_you_mean(key, known))
    return known[key]


def with_costs(results: StudyResults) -> StudyResults:
    """The same results with each run's training time and peak memory among its scores, where its record has them."""
    return replace(results, runs=tuple(_with_cost(run) for run in results.runs))


def varied_axes(results: StudyResults) -> list[str]:
    """The axes with more than one level, in the study's order."""
    return [axis for axis, levels in results.axes.items() if len(levels) > 1]


def numbers_of(labels: Sequence[str]) -> list[float] | None:
    """The labels as numbers, when each is one, perhaps after a name; None otherwise.

    >>> numbers_of(["1", "r=4", "1e-4"]), numbers_of(["1", "LoRA"])
    ([1.0, 4.0, 0.0001], None)
    """
    matches = [_NUMBER.match(label.strip()) for label in labels]
    found = [float(match[1]) for match in matches if match]
    return found if len(found) == len(labels) and found else None


def _with_cost(run: Run) -> Run:
    record = read_record(run.folder) if run.folder is not None else {}
    recorded = {key: record.get(name) for key, name in _COST_NAMES.items()}
    costs = {
        key: float(value)
        for key, value in recorded.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    return replace(run, scores=MappingProxyType({**costs, **run.scores}))


def _all_levels(results: StudyResults, levels: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for axis, known in results.axes.items():
        if axis not in levels and len(known) > 1:
            fix = f"make it the rows, the columns or average_over, or name a level under only: {{{axis}: ...}}"
            raise RecipeError.at(results.name, f"the axis '{axis}' has {len(known)} levels and no place", fix)
        found[axis] = levels.get(axis, known[0] if known else "")
    return found


def _measure_one(results: StudyResults, levels: Mapping[str, str], metric: Metric) -> Measured:
    at_place = {run.seed: run for run in sorted(final_runs(results, levels), key=lambda run: run.state == "done")}
    if not at_place:
        return Measured(levels, metric, {}, (Gap("not part of the study"),))
    values, missing = {}, []
    for seed in dict.fromkeys((*results.seeds, *at_place)):
        run = at_place.get(seed)
        if run is not None and run.state == "done" and metric.key in run.scores:
            values[seed] = run.scores[metric.key] * metric.scale
        else:
            missing.append(Gap(_reason(run, metric), seed))
    return Measured(levels, metric, dict(sorted(values.items())), tuple(missing))


def _reason(run: Run | None, metric: Metric) -> str:
    if run is None:
        return "is not part of the study"
    if run.state == "failed":
        return "failed"
    if run.state == "done":
        return f"has no {metric.key}"
    return _NOT_RUN[run.state]
