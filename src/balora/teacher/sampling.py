"""Asking the teacher about a part of the sequences only, without bias."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_sequences(count: int, fraction: float, *, seed: tuple[int, ...]) -> Tensor:
    """Indices of the sequences that the teacher is asked about, ascending, (n,).

        n = ⌊fraction·count + u⌋, u uniform on [0, 1), then n of `count` without replacement

    Every sequence is drawn with probability `fraction` exactly, so a sum over the drawn ones divided by `fraction` has
    the expectation of the sum over all.

    Args:
        count: sequences in the micro-batch.
        fraction: from 0 to 1.
        seed: what the draw depends on, such as run seed, step and micro-batch; a resumed run draws the same. All but
            the last number decide n, so that processes that differ in the last one ask equally often.

    >>> len(draw_sequences(8, 0.25, seed=(0, 1, 2)))
    2
    """
    uniform = torch.rand((), generator=_generator(seed[:-1])).item()
    size = min(int(fraction * count + uniform), count)
    return torch.randperm(count, generator=_generator(seed))[:size].sort().values


def _generator(seed: tuple[int, ...]) -> torch.Generator:
    mixed = 0
    for number in seed:
        # Multiplication by a large odd number spreads neighbouring seeds over 63 bits.
        mixed = ((mixed ^ number) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 63)
    return torch.Generator().manual_seed(mixed)
