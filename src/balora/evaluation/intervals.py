"""How sure a score is: standard error and 95 % interval, by resampling items or clusters of items.

The percentile bootstrap (Efron and Tibshirani 1993, chapter 13), seeded. Items that share a prompt, or several samples
of one item, are resampled together as one cluster (Miller 2024, arXiv 2411.00640, section 2.2). Differences of two
models on the same items resample both together; drops between two test sets resample each on its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from balora.evaluation.resampling import Rows, Score

RESAMPLES = 2000
LEVEL = 0.95
FEWEST_DEFINED = 0.5
"""With fewer resamples than this share on which the score is defined, there is no interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and how sure it is; NaN where there is no such number."""

    value: float
    standard_error: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    items: int
    clusters: int
    """What was resampled: items, or groups of items that belong together."""
    method: str
    """How the interval was computed, or why there is none."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a result file."""
        found = asdict(self)
        found["interval_95"] = [found.pop("low"), found.pop("high")]
        return found

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"undefined (n = {self.items})"
        if math.isnan(self.low):
            return f"{self.value:.4f} (n = {self.items}; {self.method})"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] (n = {self.items})"


def estimate(
    score: Score,
    items: int,
    *,
    clusters: Sequence[Any] | None = None,
    outcomes: NDArray[np.generic] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A score over all items, with its standard error and 95 % interval.

    Where every item scores the same 0 or 1, no resample can differ, and the bootstrap would claim certainty. Then the
    interval is that of Clopper and Pearson (1934), exact for a share of independent trials, and the standard error that
    of the Agresti-Coull estimate (k + 2)/(n + 4).

    Args:
        score: row numbers -> score.
        items: how many rows there are.
        clusters: a name per row; rows of one name are resampled together. Left out: each row on its own.
        outcomes: the 0 or 1 of each row, where the score is their mean.
        resamples: how many.
        seed: of the resampling.

    >>> from balora.evaluation.resampling import mean_of_rows
    >>> failed = np.zeros(20)
    >>> print(estimate(mean_of_rows(failed), 20, outcomes=failed))
    0.0000 [0.0000, 0.1684] (n = 20)
    """
    groups = _groups(items, clusters)
    value = score(np.arange(items)) if items else math.nan
    if math.isnan(value) or len(groups) == 0:
        return _without(value, items, len(groups), "undefined on these items" if items else "no items")
    if outcomes is not None and len(np.unique(outcomes)) == 1 and outcomes[0] in (0, 1):
        return _exact(value, items, len(groups))
    if len(groups) < 2:
        return _without(value, items, len(groups), "one independent item has no spread")
    drawn = np.array([score(rows) for rows in _resampled(groups, resamples, seed)])
    return _from_draws(value, drawn, items, len(groups), seed)


def paired_difference(
    one: Score,
    other: Score,
    items: int,
    *,
    clusters: Sequence[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """`one` minus `other` on the same items, both resampled together."""
    return estimate(lambda rows: one(rows) - other(rows), items, clusters=clusters, resamples=resamples, seed=seed)


def drop(one: Score, items: int, other: Score, other_items: int, *, relative: bool = False, seed: int = 0) -> Estimate:
    """How much lower `other` is than `one`, on two independent sets of items.

    `relative` divides by `one`, and is undefined where that is not positive: a share of nothing says nothing.
    """

    def between(first: float, second: float) -> float:
        if relative:
            return (first - second) / first if first > 0 else math.nan
        return first - second

    smaller = min(items, other_items)
    if smaller == 0:
        return _without(math.nan, smaller, smaller, "no items")
    value = between(one(np.arange(items)), other(np.arange(other_items)))
    if math.isnan(value) or smaller < 2:
        return _without(value, smaller, smaller, "undefined on these items")
    pairs = zip(
        _resampled(_groups(items, None), RESAMPLES, seed),
        _resampled(_groups(other_items, None), RESAMPLES, seed + 1),
        strict=True,
    )
    drawn = np.array([between(one(first), other(second)) for first, second in pairs])
    return _from_draws(value, drawn, smaller, smaller, seed)


def _groups(items: int, clusters: Sequence[Any] | None) -> list[Rows]:
    if clusters is None:
        return list(np.arange(items).reshape(-1, 1))
    rows: dict[Any, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(row)
    return [np.array(members) for members in rows.values()]


def _resampled(groups: Sequence[Rows], resamples: int, seed: int) -> Iterator[Rows]:
    generator = np.random.default_rng(seed)
    single = all(len(group) == 1 for group in groups)
    flat = np.concatenate(groups)
    for _ in range(resamples):
        chosen = generator.integers(len(groups), size=len(groups))
        yield flat[chosen] if single else np.concatenate([groups[index] for index in chosen])


def _from_draws(value: float, drawn: NDArray[np.float64], items: int, clusters: int, seed: int) -> Estimate:
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < max(FEWEST_DEFINED * len(drawn), 2):
        return _without(value, items, clusters, "undefined on most resamples")
    if np.ptp(defined) == 0:
        return _without(value, items, clusters, "every resample scores the same, so resampling cannot tell")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    what = "items" if items == clusters else "clusters"
    method = f"percentile bootstrap, {len(drawn)} resamples of {what}, seed {seed}"
    if len(defined) < len(drawn):
        method += f"; the score is undefined on {len(drawn) - len(defined)} of them"
    return Estimate(value, float(defined.std(ddof=1)), float(low), float(high), items, clusters, method)


def _exact(value: float, items: int, clusters: int) -> Estimate:
    hits = clusters if value == 1 else 0
    interval = stats.binomtest(hits, clusters).proportion_ci(LEVEL, method="exact")
    share = (hits + 2) / (clusters + 4)
    error = math.sqrt(share * (1 - share) / (clusters + 4))
    method = "Clopper-Pearson (every item scores the same); standard error of the Agresti-Coull estimate"
    return Estimate(value, error, float(interval.low), float(interval.high), items, clusters, method)


def _without(value: float, items: int, clusters: int, why: str) -> Estimate:
    return Estimate(value, math.nan, math.nan, math.nan, items, clusters, f"no interval: {why}")
