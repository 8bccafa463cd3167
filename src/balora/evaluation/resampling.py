"""Scores of some rows of an evaluation, fast enough to be computed for thousands of resamples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from balora.errors import RecipeError, did_you_mean

Rows = NDArray[np.intp]
Score = Callable[[Rows], float]
"""Row numbers, repeated where a resample drew them twice -> score."""


def score_of_rows(name: str, predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    """The named score as a function of row numbers; equals `METRICS[name].score` on the chosen rows.

    Whether `f1` is that of class 1 or the mean over classes is decided once, by all rows, so that every resample
    computes the same thing.

    Raises:
        RecipeError: no such score.

    >>> score_of_rows("accuracy", np.array([1, 0]), np.array([1, 1]))(np.array([0, 0, 1, 1]))
    0.5
    """
    if name not in _MAKERS:
        raise RecipeError.at("metrics", f"no score is called '{name}'", did_you_mean(name, _MAKERS))
    return _MAKERS[name](predictions, references)


def mean_of_rows(values: NDArray[np.generic]) -> Score:
    """The mean of a number per item.

    >>> mean_of_rows(np.array([1.0, 0.0]))(np.array([0, 1]))
    0.5
    """
    numbers = np.asarray(values, dtype=np.float64)
    return lambda rows: float(numbers[rows].mean()) if len(rows) else math.nan


def ratio_of_rows(numerators: NDArray[np.generic], denominators: NDArray[np.generic]) -> Score:
    """The sum of one number per item over the sum of another: a loss per token where items have many tokens."""
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    return lambda rows: float(above[rows].sum() / total) if (total := below[rows].sum()) else math.nan


def _accuracy(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    return mean_of_rows(predictions == references)


def _counts(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Callable[[Rows], NDArray[np.float64]]:
    """Rows -> confusion counts, (references, predictions)."""
    labels, inverse = np.unique(np.concatenate([references, predictions]), return_inverse=True)
    classes = len(labels)
    codes = inverse[: len(references)] * classes + inverse[len(references) :]

    def counts(rows: Rows) -> NDArray[np.float64]:
        found = np.bincount(codes[rows], minlength=classes * classes)
        return found.reshape(classes, classes).astype(np.float64)

    return counts


def _matthews(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    """R_K of Gorodkin (2004), which is Matthews' coefficient for two classes; 0 where one side is constant."""
    counts = _counts(predictions, references)

    def score(rows: Rows) -> float:
        table = counts(rows)
        true, predicted, total = table.sum(axis=1), table.sum(axis=0), table.sum()
        covariance = np.trace(table) * total - true @ predicted
        spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
        if not total:
            return math.nan
        return float(covariance / math.sqrt(spread)) if spread > 0 else 0.0

    return score


def _f1(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    counts = _counts(predictions, references)
    labels = np.union1d(predictions, references)
    binary = len(labels) <= 2 and bool((labels <= 1).all())

    def score(rows: Rows) -> float:
        table = counts(rows)
        if not table.sum():
            return math.nan
        present = table.sum(axis=0) + table.sum(axis=1)
        each = 2 * np.diag(table) / np.where(present > 0, present, 1.0)
        if binary:
            return float(each[list(labels).index(1)]) if 1 in labels else 0.0
        return float(each[present > 0].mean())

    return score


def _pearson_of(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if len(one) < 2:
        return math.nan
    one, other = one - one.mean(), other - other.mean()
    spread = math.sqrt((one @ one) * (other @ other))
    return float(one @ other) / spread if spread > 0 else math.nan


def _pearson(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    one, other = predictions.astype(np.float64), references.astype(np.float64)
    return lambda rows: _pearson_of(one[rows], other[rows])


def _spearman(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    one, other = predictions.astype(np.float64), references.astype(np.float64)
    return lambda rows: _pearson_of(stats.rankdata(one[rows]), stats.rankdata(other[rows]))


def _mse(predictions: NDArray[np.generic], references: NDArray[np.generic]) -> Score:
    return mean_of_rows((predictions.astype(np.float64) - references.astype(np.float64)) ** 2)


_MAKERS: dict[str, Callable[[NDArray[np.generic], NDArray[np.generic]], Score]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
    "mse": _mse,
}
