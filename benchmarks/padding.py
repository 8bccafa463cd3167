"""How much of a batch is padding, by the way batches are put together; counted, not timed."""

from __future__ import annotations

import torch
from transformers.trainer_pt_utils import LengthGroupedSampler

from benchmarks.measure import Result, markdown

EXAMPLES = 10_000
SPREAD = 0.385
"""Of the logarithm of the lengths: a coefficient of variation of 0.4."""
BATCHES = (8, 32)


def lengths() -> list[int]:
    """Lognormal lengths around 100 tokens."""
    generator = torch.Generator().manual_seed(0)
    return (100 * torch.exp(SPREAD * torch.randn(EXAMPLES, generator=generator))).long().clamp_min(4).tolist()


def positions_per_token(order: list[int], tokens: list[int], batch: int) -> float:
    """Positions that a model computes, over tokens that are there, when each batch is padded to its longest row."""
    padded = 0
    for start in range(0, len(order), batch):
        rows = [tokens[index] for index in order[start : start + batch]]
        padded += len(rows) * max(rows)
    return padded / sum(tokens)


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """Random batches, `train_sampling_strategy: group_by_length`, and rows without padding."""
    del rounds, shapes
    tokens = lengths()
    generator = torch.Generator().manual_seed(1)
    random = torch.randperm(EXAMPLES, generator=generator).tolist()
    result = Result("computed positions per real token", device, "random batches")
    result.table = markdown(["batch", "random batches", "group_by_length", "padding_free"], ["---"] * 4)
    for batch in BATCHES:
        grouped = list(LengthGroupedSampler(batch, lengths=tokens, generator=generator))
        ways = [positions_per_token(order, tokens, batch) for order in (random, grouped)]
        result.table += markdown([str(batch), *(f"{value:.2f}" for value in ways), "1.00"])
    return [result]
