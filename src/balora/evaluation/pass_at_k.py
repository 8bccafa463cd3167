"""pass@k from n samples per problem, without bias."""

from __future__ import annotations

import math


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The chance that at least one of k samples drawn without replacement is correct: 1 − C(n−c, k) / C(n, k).

    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1. NaN where there are fewer than k samples.

    Args:
        samples: n, samples of one problem.
        correct: c, how many of them pass.
        k: how many may be handed in.

    Raises:
        ValueError: when the counts contradict each other.

    >>> pass_at_k(5, 2, 1), round(pass_at_k(5, 2, 3), 12)
    (0.4, 0.9)
    """
    if not 0 <= correct <= samples or k < 1:
        raise ValueError(f"{correct} correct of {samples} samples at k {k}")
    if samples < k:
        return math.nan
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
