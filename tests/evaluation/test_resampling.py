"""The fast scores equal scikit-learn's and SciPy's on any rows."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.errors import RecipeError
from balora.evaluation import METRICS
from balora.evaluation.resampling import mean_of_rows, ratio_of_rows, score_of_rows

classes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)
two_classes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)
numbers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)


def sides(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    one, other = zip(*pairs, strict=True)
    return np.array(one), np.array(other)


def agree(name: str, pairs: list[tuple[int, int]]) -> None:
    predictions, references = sides(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slow = METRICS[name].score(predictions, references)
    fast = score_of_rows(name, predictions, references)(np.arange(len(pairs)))
    assert fast == pytest.approx(slow, abs=1e-9, nan_ok=True)


@given(classes)
def test_scores_of_three_classes(pairs: list[tuple[int, int]]) -> None:
    for name in ("accuracy", "matthews", "f1"):
        agree(name, pairs)


@given(two_classes)
def test_scores_of_two_classes(pairs: list[tuple[int, int]]) -> None:
    for name in ("accuracy", "matthews", "f1"):
        agree(name, pairs)


@given(numbers)
def test_scores_of_numbers(pairs: list[tuple[int, int]]) -> None:
    for name in ("pearson", "spearman", "mse"):
        agree(name, pairs)


@given(classes, st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_a_row_drawn_twice_counts_twice(pairs: list[tuple[int, int]], draws: list[int]) -> None:
    predictions, references = sides(pairs)
    rows = np.array(draws) % len(pairs)
    for name in ("accuracy", "matthews", "mse"):
        whole = score_of_rows(name, predictions, references)(rows)
        copied = score_of_rows(name, predictions[rows], references[rows])(np.arange(len(rows)))
        assert whole == pytest.approx(copied, abs=1e-9)


def test_f1_of_three_classes_stays_the_mean_over_classes_in_a_resample_of_two() -> None:
    predictions, references = np.array([0, 1, 1, 2]), np.array([0, 1, 0, 2])
    assert score_of_rows("f1", predictions, references)(np.array([0, 1, 2])) == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_means_and_ratios_of_nothing_are_nan() -> None:
    nothing = np.array([], dtype=int)
    assert math.isnan(mean_of_rows(np.array([1.0]))(nothing))
    assert math.isnan(ratio_of_rows(np.array([1.0]), np.array([1.0]))(nothing))
    assert ratio_of_rows(np.array([2.0, 4.0]), np.array([1, 2]))(np.array([0, 1])) == 2.0


def test_an_unknown_score_is_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'accuracy'"):
        score_of_rows("acuracy", np.array([1]), np.array([1]))
