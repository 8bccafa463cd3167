"""Intervals hold the truth as often as they say, clusters widen them, and sameness is not certainty."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from balora.evaluation.intervals import drop, estimate, paired_difference
from balora.evaluation.resampling import mean_of_rows, score_of_rows


def test_it_agrees_with_scipy_s_bootstrap() -> None:
    values = np.random.default_rng(1).normal(size=80)
    ours = estimate(mean_of_rows(values), 80, seed=3)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=0)
    assert ours.value == pytest.approx(values.mean())
    assert ours.standard_error == pytest.approx(float(theirs.standard_error), rel=0.1)
    assert ours.low == pytest.approx(float(theirs.confidence_interval.low), abs=0.03)
    assert ours.high == pytest.approx(float(theirs.confidence_interval.high), abs=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(0), 0
    for trial in range(200):
        hits = (generator.random(60) < 0.4).astype(float)
        found = estimate(mean_of_rows(hits), 60, outcomes=hits, resamples=300, seed=trial)
        covered += found.low <= 0.4 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = np.random.default_rng(1).random(30)
    assert estimate(mean_of_rows(values), 30, seed=1) == estimate(mean_of_rows(values), 30, seed=1)
    assert estimate(mean_of_rows(values), 30, seed=1).low != estimate(mean_of_rows(values), 30, seed=2).low


def test_repeating_every_item_in_its_cluster_adds_no_certainty() -> None:
    values = np.random.default_rng(2).random(40)
    repeated, clusters = np.repeat(values, 5), np.repeat(np.arange(40), 5)
    once = estimate(mean_of_rows(values), 40)
    clustered = estimate(mean_of_rows(repeated), 200, clusters=clusters.tolist())
    pretended = estimate(mean_of_rows(repeated), 200)
    assert clustered.standard_error == pytest.approx(once.standard_error, rel=1e-9)
    assert pretended.standard_error < 0.6 * clustered.standard_error
    assert (clustered.items, clustered.clusters) == (200, 40)


@pytest.mark.parametrize("hit", [0, 1])
def test_all_wrong_or_all_right_is_not_certain(hit: int) -> None:
    outcomes = np.full(50, hit)
    found = estimate(mean_of_rows(outcomes), 50, outcomes=outcomes)
    bound = 1 - 0.025 ** (1 / 50)
    assert found.value == hit
    assert found.low == pytest.approx(0 if hit == 0 else 1 - bound)
    assert found.high == pytest.approx(bound if hit == 0 else 1)
    assert found.standard_error > 0
    assert "Clopper-Pearson" in found.method
    of_ten = estimate(mean_of_rows(outcomes), 50, outcomes=outcomes, clusters=[row % 10 for row in range(50)])
    assert abs(of_ten.high - of_ten.low) > abs(found.high - found.low)


def test_no_data_is_nan_and_says_why() -> None:
    nothing = estimate(mean_of_rows(np.array([])), 0)
    assert math.isnan(nothing.value)
    assert "no items" in nothing.method
    constant = estimate(score_of_rows("pearson", np.ones(5), np.arange(5.0)), 5)
    assert math.isnan(constant.value)
    assert math.isnan(constant.low)
    one = estimate(mean_of_rows(np.array([0.3])), 1)
    assert one.value == 0.3
    assert math.isnan(one.standard_error)
    always = estimate(score_of_rows("matthews", np.ones(6, dtype=int), np.array([0, 1, 0, 1, 0, 1])), 6)
    assert always.value == 0
    assert math.isnan(always.high)
    assert nothing.as_json()["interval_95"] is not None


def test_pairing_removes_what_both_models_share() -> None:
    generator = np.random.default_rng(4)
    hardness = generator.normal(size=100)
    one, other = hardness + 0.1, hardness + generator.normal(scale=0.01, size=100)
    paired = paired_difference(mean_of_rows(one), mean_of_rows(other), 100)
    apart = drop(mean_of_rows(one), 100, mean_of_rows(other), 100)
    assert paired.value == pytest.approx(apart.value)
    assert paired.standard_error < 0.1 * apart.standard_error
    assert paired.low > 0 > apart.low


def test_drops_are_differences_or_shares() -> None:
    one, other = np.array([1.0, 1.0, 0.0, 1.0] * 10), np.array([1.0, 0.0] * 15)
    absolute = drop(mean_of_rows(one), 40, mean_of_rows(other), 30)
    relative = drop(mean_of_rows(one), 40, mean_of_rows(other), 30, relative=True)
    assert absolute.value == pytest.approx(0.25)
    assert relative.value == pytest.approx(1 / 3)
    assert absolute.low < 0.25 < absolute.high
    assert math.isnan(drop(mean_of_rows(np.zeros(4)), 4, mean_of_rows(one), 40, relative=True).value)
