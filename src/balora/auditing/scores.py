"""One measured number of base and tuned model, how sure their difference is, and what it means in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora.auditing.measures import MEASURES, Measure
from balora.evaluation.inheritance import jackknife
from balora.evaluation.intervals import Estimate, estimate, paired_difference
from balora.evaluation.resampling import Score as RowScore

SetScore = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True, slots=True)
class Score:
    """A measured number; of two models, or of the pair where `base` and `difference` are None."""

    name: str
    tuned: Estimate
    base: Estimate | None = None
    difference: Estimate | None = None
    """Tuned minus base, on the same rows."""
    of: str = ""
    """What it is of, where a measure is taken of several things: a layer, a suite."""
    shown: bool = True
    """Whether it stands in the table, and not only in the file."""
    said: str = ""
    """What is said of it beside the verdict, like the p value of a test of its own."""

    @property
    def measure(self) -> Measure:
        """Its title, its direction and its words."""
        return MEASURES[self.name]

    @property
    def key(self) -> str:
        """Its name in the report."""
        return f"{self.name}.{self.of}" if self.of else self.name

    @property
    def title(self) -> str:
        """How tables call it."""
        return f"{self.measure.title} ({self.of})" if self.of else self.measure.title

    @property
    def verdict(self) -> str:
        """What the number says, in plain words."""
        if math.isnan(self.tuned.value):
            return "cannot be said of these rows"
        if self.difference is None:
            return self.measure.size_in_words(self.tuned.value)
        words = difference_in_words(self.difference, self.measure)
        return f"{words} ({self.said})" if self.said else words

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the report."""
        return {
            "title": self.title,
            "unit": self.measure.unit,
            "better": self.measure.better,
            "base": None if self.base is None else self.base.as_json(),
            "tuned": self.tuned.as_json(),
            "difference": None if self.difference is None else self.difference.as_json(),
            "verdict": self.verdict,
        }

    def flat(self) -> Iterator[tuple[str, float]]:
        """The tuned value under its key; base and difference with a suffix; only numbers that are finite."""
        parts = {"": self.tuned, ".base": self.base, ".difference": self.difference}
        for suffix, found in parts.items():
            if found is not None and math.isfinite(found.value):
                yield f"{self.key}{suffix}", found.value


@dataclass(frozen=True)
class Part:
    """One chapter of a report."""

    scores: tuple[Score, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """Lists and tables that are no single number, ready for JSON."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resampling:
    """What all scores of one set of rows share."""

    items: int
    clusters: Sequence[Any] | None
    resamples: int
    seed: int

    def alone(self, name: str, score: RowScore, *, of: str = "", outcomes: NDArray[np.generic] | None = None) -> Score:
        """A number of the pair of models, or of the tuned one where the base has none."""
        return Score(name, self._estimate(score, outcomes), of=of)

    def compared(self, name: str, base: RowScore | None, tuned: RowScore, *, of: str = "") -> Score:
        """A number of both models, by the bootstrap; of the tuned one alone where there is none of the base."""
        if base is None:
            return self.alone(name, tuned, of=of)
        return Score(
            name,
            self._estimate(tuned),
            self._estimate(base),
            paired_difference(
                tuned, base, self.items, clusters=self.clusters, resamples=self.resamples, seed=self.seed
            ),
            of,
        )

    def whole(self, name: str, base: SetScore | None, tuned: SetScore, *, of: str = "") -> Score:
        """A number of a whole set of rows, by the jackknife."""
        found = jackknife(tuned, self.items, seed=self.seed)
        if base is None:
            return Score(name, found, of=of)

        def between(rows: NDArray[np.intp]) -> float:
            return tuned(rows) - base(rows)

        difference = jackknife(between, self.items, seed=self.seed)
        return Score(name, found, jackknife(base, self.items, seed=self.seed), difference, of)

    def _estimate(self, score: RowScore, outcomes: NDArray[np.generic] | None = None) -> Estimate:
        return estimate(
            score,
            self.items,
            clusters=self.clusters,
            outcomes=outcomes,
            resamples=self.resamples,
            seed=self.seed,
        )


def exactly(name: str, tuned: float, base: float | None = None, *, items: int = 1, of: str = "") -> Score:
    """A number of weights or of a whole set, which no rows were drawn for."""

    def fixed(value: float) -> Estimate:
        return Estimate(value, math.nan, math.nan, math.nan, items, items, "no interval: not a sample of rows")

    if base is None:
        return Score(name, fixed(tuned), of=of)
    return Score(name, fixed(tuned), fixed(base), fixed(tuned - base), of)


def difference_in_words(difference: Estimate, measure: Measure) -> str:
    """Whether the tuned model has more or less, and whether these rows can tell."""
    value = difference.value
    if math.isnan(value):
        return "cannot be said of these rows"
    if value == 0 and not difference.low < 0 < difference.high:
        return "the same as the base"
    words = measure.rises if value > 0 else measure.falls
    if math.isnan(difference.low):
        return f"{words} (no interval)"
    if difference.low <= 0 <= difference.high:
        return f"no difference that {difference.clusters} {_rows_of(difference)} can show"
    return words


def _rows_of(difference: Estimate) -> str:
    return "groups of rows" if "jackknife" in difference.method else "rows"
