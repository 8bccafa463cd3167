"""What tuning tried and chose, and whether the best value lies at the edge of what was tried."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from balora.study.metrics import LAB_VALIDATION, metric_of
from balora.study.results import Metric, Run, StudyResults


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting that tuning chose at one place of the grid."""

    levels: Mapping[str, str]
    """Of the axes that had a sweep of their own; an axis of several levels that shares one sweep is not named."""
    key: str
    value: Any
    tried: tuple[tuple[Any, float | None], ...]
    """Each value with the best mean of the score that it reached, as shown; None where no run has it."""
    at_edge: bool
    """The chosen value is the smallest or the largest number of at least two tried: a better one may lie beyond."""
    score: str = ""
    """What the score is called; empty where the tuning runs have none that is known."""


def choices(results: StudyResults) -> list[Choice]:
    """One for each tuned key and each different set of levels that chose together.

    A tuned key counts as tried at a place with the tuning runs whose levels agree with the place.
    """
    found: list[Choice] = []
    for key in results.tuned:
        for levels, value in _chosen(results, key).items():
            named = dict(levels)
            sweep = [
                run
                for run in results.runs
                if run.stage == "tune"
                and key in run.chosen
                and named[results.compare] == run.levels.get(results.compare)
            ]
            own = [run for run in sweep if named.items() <= run.levels.items()] or sweep
            metric = _score_of(results, own)
            tried = _tried(own, key, metric)
            at_edge = _is_at_edge(value, [each for each, _ in tried])
            found.append(Choice(named, key, value, tried, at_edge, metric.title if metric else ""))
    return _merged(results, found)


def _chosen(results: StudyResults, key: str) -> dict[tuple[tuple[str, str], ...], Any]:
    return {
        tuple(run.levels.items()): run.chosen[key]
        for run in results.runs
        if run.stage == "final" and key in run.chosen and results.compare in run.levels
    }


def _score_of(results: StudyResults, sweep: list[Run]) -> Metric | None:
    """What decided, as the study noted it; else its first metric, or the lab's score on its validation split."""
    measured = {key for run in sweep for key in run.scores}
    noted = results.tuning.get("by")
    if noted in measured:
        return next((metric for metric in results.metrics if metric.key == noted), metric_of(str(noted)))
    first = [metric for metric in results.metrics[:1] if metric.key in measured]
    return first[0] if first else metric_of(LAB_VALIDATION) if LAB_VALIDATION in measured else None


def _tried(sweep: list[Run], key: str, metric: Metric | None) -> tuple[tuple[Any, float | None], ...]:
    """Where several keys were crossed, each value counts with its best companion."""
    scores: dict[str, dict[str, list[float]]] = {}
    values: dict[str, Any] = {}
    for run in sweep:
        value = run.chosen[key]
        values[repr(value)] = value
        companions = scores.setdefault(repr(value), {})
        if metric is not None and run.state == "done" and metric.key in run.scores:
            companions.setdefault(repr(dict(run.chosen)), []).append(run.scores[metric.key] * metric.scale)
    tried = [(value, _best(list(scores[name].values()), metric)) for name, value in values.items()]
    return tuple(
        sorted(tried, key=lambda pair: (_as_number(pair[0]) is None, _as_number(pair[0]) or 0.0, repr(pair[0])))
    )


def _best(groups: list[list[float]], metric: Metric | None) -> float | None:
    """The mean of the best group, as shown."""
    if not groups or metric is None:
        return None

    merits = [metric.sign * statistics.fmean(metric.compared(each) for each in group) for group in groups]
    return statistics.fmean(groups[merits.index(max(merits))])


def _merged(results: StudyResults, found: list[Choice]) -> list[Choice]:
    """Places of one compared level that chose the same from the same sweep, as one."""
    groups: dict[Any, list[Choice]] = {}
    for choice in found:
        compared = choice.levels[results.compare]
        groups.setdefault((compared, choice.key, repr(choice.value), repr(choice.tried)), []).append(choice)
    merged = []
    for same in groups.values():
        shared = dict(set(same[0].levels.items()).intersection(*(choice.levels.items() for choice in same)))
        levels = {axis: shared[axis] for axis in results.axes if axis in shared and len(results.axes[axis]) > 1}
        first = same[0]
        merged.append(replace(first, levels=levels))
    return merged


def _is_at_edge(value: Any, tried: list[Any]) -> bool:
    numbers = [number for each in tried if (number := _as_number(each)) is not None]
    chosen = _as_number(value)
    return chosen is not None and len(set(numbers)) >= 2 and chosen in {min(numbers), max(numbers)}


def _as_number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return None if isinstance(value, bool) or not math.isfinite(found) else found
