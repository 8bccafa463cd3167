"""`LossReport` names its terms."""

from __future__ import annotations

import pytest
import torch

from balora.losses import LossReport


def test_terms_are_found_by_name() -> None:
    one, two, three, four, five = (torch.tensor(float(n)) for n in range(1, 6))
    report = LossReport(total=one, task=two, consistency=three, diversity=four, spectral=five, valid_tokens=3)
    assert [report.term(n).item() for n in ("task", "consistency", "diversity", "spectral")] == [2, 3, 4, 5]
    with pytest.raises(KeyError):
        report.term("entropy")


def test_a_penalty_joins_the_total_under_its_name() -> None:
    one, two, three, four, five = (torch.tensor(float(n)) for n in range(1, 6))
    report = LossReport(total=one, task=two, consistency=three, diversity=four, spectral=five, valid_tokens=3)
    more = report.with_penalty("weight_penalty", 0.5, torch.tensor(8.0))
    assert (more.total.item(), more.term("weight_penalty").item(), more.weights["weight_penalty"]) == (5.0, 8.0, 0.5)
    assert (report.total.item(), report.penalties) == (1.0, {})
