"""Mean grades with their uncertainty: per turn, per category and over all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from balora.evaluation.judge.grading import Judgement

_RESAMPLES = 9999
_MOST_MISSING = 0.01


@dataclass(frozen=True, slots=True)
class Score:
    """A mean grade. NaN, never 0, where there is nothing to average."""

    mean: float
    n: int
    """Grades."""
    questions: int
    """Clusters: both turns of a question vary together."""
    missing: int
    """Grades that could not be had; they are in no mean."""
    standard_error: float
    """Of the mean, clustered by question; NaN for fewer than two questions."""
    interval: tuple[float, float]
    """95 %: percentile bootstrap that draws whole questions; NaN for fewer than two questions."""


@dataclass(frozen=True, slots=True)
class JudgeScores:
    """Scores of one set of answers by one judge."""

    overall: Score
    by_turn: dict[int, Score]
    by_category: dict[str, Score]

    @property
    def is_complete(self) -> bool:
        """Whether at most 1 % of the grades are missing; beyond that a mean says too little to be published."""
        wanted = self.overall.n + self.overall.missing
        return wanted > 0 and self.overall.missing <= _MOST_MISSING * wanted


def score_judgements(judgements: Sequence[Judgement], *, seed: int = 0) -> JudgeScores:
    """Average grades.

    With s_q the sum and n_q the count of the grades of question q, G questions and N grades in all: mean m =
    sum(s_q) / N, standard error sqrt(G / (G - 1) * sum((s_q - n_q m)^2)) / N.

    >>> rows = [Judgement(q, "math", 1, grade, "") for q, grade in ((1, 4.0), (2, 8.0), (3, None))]
    >>> score = score_judgements(rows).overall
    >>> score.mean, score.n, score.missing, score.standard_error
    (6.0, 2, 1, 2.0)
    """
    turns = sorted({judgement.turn for judgement in judgements})
    categories = list(dict.fromkeys(judgement.category for judgement in judgements))
    return JudgeScores(
        _score(judgements, seed),
        {turn: _score([one for one in judgements if one.turn == turn], seed) for turn in turns},
        {name: _score([one for one in judgements if one.category == name], seed) for name in categories},
    )


def _score(judgements: Sequence[Judgement], seed: int) -> Score:
    grades: dict[int, list[float]] = {}
    for judgement in judgements:
        if judgement.grade is not None:
            grades.setdefault(judgement.number, []).append(judgement.grade)
    sums = np.array([sum(group) for group in grades.values()], dtype=float)
    counts = np.array([len(group) for group in grades.values()], dtype=float)
    n, clusters = int(counts.sum()), len(grades)
    mean = float(sums.sum() / n) if n else math.nan
    error, interval = math.nan, (math.nan, math.nan)
    if clusters > 1:
        spread = float(((sums - counts * mean) ** 2).sum())
        error = math.sqrt(clusters / (clusters - 1) * spread) / n
        interval = _interval(sums, counts, seed)
    return Score(mean, n, clusters, len(judgements) - n, error, interval)


def _interval(sums: NDArray[np.floating], counts: NDArray[np.floating], seed: int) -> tuple[float, float]:
    rows = np.random.default_rng(seed).integers(0, len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[rows].sum(axis=1) / counts[rows].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
