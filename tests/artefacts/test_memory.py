"""Peak memory is that of the work, not of what came before."""

from __future__ import annotations

import torch

from balora.artefacts import PeakMemory


def test_a_large_allocation_shows_and_a_past_one_does_not() -> None:
    with PeakMemory() as large:
        block = torch.ones(1 << 26)
        del block
    with PeakMemory() as small:
        torch.ones(1)
    assert large.cpu_gib - small.cpu_gib > 0.2, "256 MiB were held inside the first block only"
    assert small.cpu_gib > 0.05
