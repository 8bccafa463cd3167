"""Time adds up and starts again."""

from __future__ import annotations

import time

import torch

from balora.training.stopwatch import Stopwatch


def test_it_adds_up_and_starts_again() -> None:
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch:
            time.sleep(0.01)
    assert watch.take_seconds() >= 0.02
    assert watch.take_seconds() == 0.0
