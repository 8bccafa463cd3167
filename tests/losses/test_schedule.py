"""Schedules at the points that the authors' code fixes (notes on equations 8 and 12)."""

from __future__ import annotations

import math

import pytest
import torch

from balora.losses.schedule import schedule_factor, scheduled_weights, teacher_confidence_factor
from balora.losses.settings import ObjectiveSettings

STEPS = 3125
"""100k samples at batch 32, the paper's generation run."""


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (624, 0.0), (625, 0.0), (703, 0.5), (781, 1.0), (3124, 1.0)])
def test_two_phase_is_off_then_ramps_then_stays(step: int, expected: float) -> None:
    assert schedule_factor("two_phase", step, STEPS) == pytest.approx(expected)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 0.55), (1.0, 0.1), (2.0, 0.1)])
def test_cosine_falls_to_its_floor(share: float, expected: float) -> None:
    assert schedule_factor("cosine", int(share * 1000), 1000, floor=0.1) == pytest.approx(expected)


def test_warm_ups_rise_to_one_and_the_quadratic_one_is_the_square() -> None:
    for step in (0, 50, 100, 200, 999):
        linear = schedule_factor("linear_warmup", step, 1000)
        assert linear == pytest.approx(min(step / 200, 1))
        assert schedule_factor("quadratic_warmup", step, 1000) == pytest.approx(linear**2)


@pytest.mark.parametrize("name", ["constant", "cosine", "two_phase", "linear_warmup", "quadratic_warmup"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_runs_of_few_steps_are_no_trouble(name: str, steps: int) -> None:
    for step in range(steps + 1):
        assert 0 <= schedule_factor(name, step, steps) <= 1  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="sawtooth"):
        schedule_factor("sawtooth", 0, 1)  # type: ignore[arg-type]


def test_weights_follow_their_own_schedules() -> None:
    weights = scheduled_weights(ObjectiveSettings(form="nlg"), step=STEPS, total_steps=STEPS)
    assert weights == pytest.approx({"consistency": 0.0025, "diversity": 0.005, "spectral": 0.005})
    start = scheduled_weights(ObjectiveSettings(form="nlg"), step=0, total_steps=STEPS)
    assert start == {"consistency": 0.025, "diversity": 0.0, "spectral": 0.0}


def test_a_sure_teacher_keeps_its_weight_and_a_clueless_one_loses_it() -> None:
    sure, clueless = torch.eye(8) * 1000, torch.zeros(4, 8)
    assert teacher_confidence_factor(sure, floor=0.1).item() == pytest.approx(1.0)
    assert teacher_confidence_factor(clueless, floor=0.1).item() == pytest.approx(0.1, abs=1e-6)
    half = torch.zeros(1, 16)
    half[0, 4:] = -math.inf
    finite = half.clamp_min(-1e9)
    assert teacher_confidence_factor(finite, floor=0.0).item() == pytest.approx(0.5)
    assert teacher_confidence_factor(torch.zeros(0, 8), floor=0.1) == 1
