"""What a sweep found: the winner by its mean score on the validation split, and what to know about it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from balora.study.jobs import Outcome
from balora.study.plan import PlannedRun, Planner
from balora.study.results import Metric
from balora.study.settings import TuneSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of one sweep."""

    values: Mapping[str, Any] | None
    """Recipe key -> the winner's value; None where no candidate could be scored."""
    notes: tuple[str, ...] = ()
    error: str | None = None
    """Why there is no winner."""


def how_tuned(planner: Planner, metric: Metric) -> dict[str, Any]:
    """How a study chooses settings, for `StudyResults.tuning`; empty where it does not."""
    settings = planner.study.settings
    tune, split = settings.tune, planner.sweep_split
    if tune is None:
        return {}
    if split is None:
        where = "the lab's validation split"
    elif isinstance(split, str):
        where = "the recipe's own validation split" if split == "validation" else f"the validation rows in {split}"
    else:
        where = f"{split:.0%} of the training rows, held out of training"
    return {
        "by": metric.key,
        "split": where,
        "tries": math.prod(len(values) for values in tune.keys.values()),
        "seeds": len(tune.seeds or [settings.seed_list[0]]),
        "per": tune.per,
    }


def choose(
    name: str, runs: Sequence[PlannedRun], outcomes: Mapping[str, Outcome], tune: TuneSettings, metric: Metric
) -> Choice:
    """The candidate with the best mean over the sweep's seeds; of equals, the one that the file names first.

    A candidate of which any run failed is out of the running.

    Args:
        name: of the level, for notes.
        runs: the sweep, candidate by candidate.
        outcomes: how each ended, by identity.
        tune: the sweep's settings.
        metric: what decides.
    """
    candidates: dict[str, list[PlannedRun]] = {}
    for run in runs:
        candidates.setdefault(repr(dict(run.chosen)), []).append(run)
    best: tuple[float, Mapping[str, Any]] | None = None
    notes: list[str] = []
    for group in candidates.values():
        ended = [outcomes[run.identity] for run in group]
        scores = [each.scores[metric.key] for each in ended if metric.key in each.scores]
        if len(scores) < len(group):
            failed = sum(each.state != "done" for each in ended)
            why = f"{failed} of {len(group)} runs failed" if failed else f"it has no score '{metric.key}'"
            notes.append(f"tuning {name}: {_words(group[0].chosen)} is out of the running, because {why}")
            continue
        score = statistics.fmean(metric.compared(each, shown=False) for each in scores) * metric.sign
        if best is None or score > best[0]:
            best = (score, group[0].chosen)
    if best is None:
        return Choice(None, tuple(notes), f"tuning found no settings: {_why_nothing(runs, outcomes, metric.key)}")
    notes += _edges(name, best[1], tune)
    return Choice(dict(best[1]), tuple(notes))


def _edges(name: str, chosen: Mapping[str, Any], tune: TuneSettings) -> list[str]:
    """A winner at the end of its sweep: a better value may lie beyond it."""
    notes = []
    for key, value in chosen.items():
        numbers = [each for each in tune.keys[key] if isinstance(each, int | float) and not isinstance(each, bool)]
        if len(numbers) == len(tune.keys[key]) and value in (min(numbers), max(numbers)):
            end = "lowest" if value == min(numbers) else "highest"
            notes.append(f"tuning {name}: the best {key}, {value:g}, is the {end} that was tried")
    return notes


def _why_nothing(runs: Sequence[PlannedRun], outcomes: Mapping[str, Outcome], key: str) -> str:
    errors = [error for run in runs if (error := outcomes[run.identity].error)]
    if errors:
        return errors[0]
    measured = sorted({name for run in runs for name in outcomes[run.identity].scores})
    return f"its runs have no score '{key}'; they have {', '.join(measured) or 'none'}"


def _words(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in chosen.items())
