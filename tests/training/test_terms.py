"""The running sums between two log lines."""

from __future__ import annotations

import pytest
import torch

from balora.losses import LossReport
from balora.training.terms import TermLog, as_one_tensor


def report(task: float, consistency: float, weight: float, valid: int = 3) -> LossReport:
    zero = torch.tensor(0.0)
    return LossReport(
        total=torch.tensor(task + weight * consistency),
        task=torch.tensor(task),
        consistency=torch.tensor(consistency),
        diversity=zero,
        spectral=zero,
        valid_tokens=valid,
        weights={"consistency": weight},
    )


def test_micro_batches_add_up_to_steps_and_steps_are_averaged() -> None:
    log = TermLog()
    for task in (1.0, 2.0, 3.0, 4.0):
        log.add(report(task, consistency=10 * task, weight=0.5), parts=2)
    means, valid = log.take_window()
    assert means["task_loss"].item() == pytest.approx((1 + 2 + 3 + 4) / 2)
    assert means["consistency"].item() == pytest.approx(50)
    assert means["weighted_consistency"].item() == pytest.approx(25)
    assert valid == 12
    assert set(means) == {"task_loss", "consistency", "weighted_consistency"}
    assert log.take_window() == ({}, 0)


def test_a_term_that_ran_in_half_the_steps_has_its_raw_mean_over_those() -> None:
    log = TermLog()
    log.add(report(1.0, consistency=0.0, weight=0.0), parts=1)
    log.add(report(1.0, consistency=4.0, weight=0.5), parts=1)
    means, _ = log.take_window()
    assert means["consistency"].item() == 4.0
    assert means["weighted_consistency"].item() == 1.0


def test_the_step_in_progress_survives_a_log_line() -> None:
    log = TermLog()
    log.add(report(1.0, 2.0, 1.0), parts=2)
    log.take_window()
    log.add(report(5.0, 2.0, 1.0), parts=2)
    assert log.end_step()["task"].item() == 6.0
    assert log.end_step() == {}


def test_one_tensor_carries_all() -> None:
    assert as_one_tensor({"a": torch.tensor(1.0), "b": torch.tensor(2, dtype=torch.float64)}).tolist() == [1.0, 2.0]
