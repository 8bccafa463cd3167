"""The estimator equals the mean over every way to draw k of n samples."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.evaluation.pass_at_k import pass_at_k


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_mean_over_all_draws(case: tuple[int, int, int]) -> None:
    samples, correct, k = case
    passed = [index < correct for index in range(samples)]
    draws = list(itertools.combinations(passed, k))
    assert pass_at_k(samples, correct, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_too_few_samples_are_no_data() -> None:
    assert math.isnan(pass_at_k(2, 1, 3))
    with pytest.raises(ValueError, match="3 correct of 2"):
        pass_at_k(2, 3, 1)
