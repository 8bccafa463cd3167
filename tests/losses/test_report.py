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
