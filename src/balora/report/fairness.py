"""How fair a comparison is: which settings were tuned, by what, and where the learning rate comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from balora.report.run_files import folder_of, recipe_text
from balora.report.sentences import Sentence
from balora.study import StudyResults
from balora.study.cells import numbers_of, varied_axes
from balora.study.choices import Choice
from balora.study.metrics import metric_of

RATE = "training.learning_rate"
_MOST_RATES = 12
"""With more levels than this only the smallest and the largest rate are told."""
_MOST_EDGES = 6


@dataclass(frozen=True, slots=True)
class _Rated:
    """A final run and the learning rate in its recipe, as it is written there."""

    levels: Mapping[str, str]
    rate: str


def fairness(results: StudyResults, chosen: Sequence[Choice]) -> list[Sentence]:
    """What was tuned, and, unless the learning rate was, where that comes from; a warning where that may decide."""
    found = [_tuned(results, chosen)] if results.tuned else []
    if RATE in results.tuned:
        return found
    return [*found, _rates(results)]


def _tuned(results: StudyResults, chosen: Sequence[Choice]) -> Sentence:
    keys = ", ".join(results.tuned)
    text = f"Each {_who_tuned(results)} ran with the {keys} that its own sweep on validation data chose{_how(results)}."
    shared = _shares_a_sweep(results)
    if shared:
        text += f" Every {results.compare} shares a sweep with the others."
    edges = [choice for choice in chosen if choice.at_edge]
    if not edges:
        return Sentence(text, "warning" if shared else "plain")
    where = "; ".join(
        f"{' '.join(c.levels.values())} {c.key.rsplit('.', 1)[-1]} {c.value}" for c in edges[:_MOST_EDGES]
    )
    more = f" and {len(edges) - _MOST_EDGES} more" if len(edges) > _MOST_EDGES else ""
    return Sentence(
        f"{text} {len(edges)} of {len(chosen)} choices lie at the edge of what was tried, so a better value may "
        f"lie beyond: {where}{more}.",
        "warning",
    )


def _who_tuned(results: StudyResults) -> str:
    """The axes whose combinations had a sweep of their own."""
    per = results.tuning.get("per")
    if per is None or not results.tuning:
        return results.compare
    return " and ".join(per) or "study"


def _shares_a_sweep(results: StudyResults) -> bool:
    per = results.tuning.get("per")
    return per is not None and results.compare not in per


def _how(results: StudyResults) -> str:
    """By which score, with how many tries, on which rows; empty for a study that was kept before this was noted."""
    tuning = results.tuning
    if not tuning:
        return ""
    tries, seeds = int(tuning["tries"]), int(tuning["seeds"])
    metric = metric_of(str(tuning["by"]))
    each = f", {seeds} seeds each" if seeds > 1 else ""
    return f", of {tries} tries{each}, by {metric.title} ({metric.key}) on {tuning['split']}"


def _rates(results: StudyResults) -> Sentence:
    compared = results.compare
    start = "The learning rate was not tuned" if results.tuned else "Nothing was tuned"
    named = [axis for axis in results.axes if "learning_rate" in axis]
    rated = list(_rated(results))
    different = len({_as_number(each.rate) for each in rated}) > 1
    axes = [axis for axis in [compared, *varied_axes(results)] if different and _decides(rated, axis)]
    if named or (axes and numbers_of(results.axes[axes[0]]) and _is_its_label(rated, axes[0])):
        return Sentence(f"{start}: the learning rate is an axis of the study, and is shown as such.")
    if not different:
        rate = f", {rated[0].rate}" if rated else ""
        return Sentence(f"This is a comparison at one shared learning rate{rate}. {_caveat(compared)}", "warning")
    if not axes:
        told = f"{start} here: the study file sets the learning rate by more than one axis ({_range(rated)})."
        return Sentence(told, "warning")
    axis = axes[0]
    by_level = {each.levels[axis]: each.rate for each in rated}
    listed = ", ".join(f"{level} {rate}" for level, rate in by_level.items())
    listed = _range(rated) if len(by_level) > _MOST_RATES else listed
    if axis == compared:
        return Sentence(f"{start} here: the study file sets the learning rate of each {axis} ({listed}).", "warning")
    shared = f"At each {axis} this is a comparison at one shared learning rate: the study file sets it ({listed})."
    return Sentence(f"{shared} {_caveat(compared)}", "warning")


def _caveat(compared: str) -> str:
    return (
        f"The rate that suits one {compared} may not suit another, so a difference here may come from the rate and not "
        f"from the {compared}. A sweep of its own for each (tune: in the study file) would tell."
    )


def _rated(results: StudyResults) -> Iterator[_Rated]:
    """Every final run whose recipe can be read."""
    for run in results.runs:
        folder = folder_of(results, run)
        if run.stage != "final" or folder is None or results.compare not in run.levels:
            continue
        for line in recipe_text(folder).splitlines():
            key, _, value = line.strip().partition(":")
            if key == "learning_rate" and value.strip():
                yield _Rated(run.levels, value.split("#")[0].strip())
                break


def _decides(rated: Sequence[_Rated], axis: str) -> bool:
    """Whether runs at one level of the axis all have one rate."""
    rates: dict[str, set[str | float]] = {}
    for each in rated:
        rates.setdefault(each.levels[axis], set()).add(_as_number(each.rate))
    return all(len(found) == 1 for found in rates.values())


def _is_its_label(rated: Sequence[_Rated], axis: str) -> bool:
    """Whether the levels of an axis are the rates themselves."""
    return all(numbers_of([each.levels[axis]]) == [_as_number(each.rate)] for each in rated)


def _range(rated: Sequence[_Rated]) -> str:
    """The smallest and the largest rate."""
    numbers = {number: each.rate for each in rated if isinstance(number := _as_number(each.rate), float)}
    return f"{numbers[min(numbers)]} to {numbers[max(numbers)]}" if numbers else rated[0].rate


def _as_number(rate: str) -> str | float:
    try:
        return float(rate)
    except ValueError:
        return rate
