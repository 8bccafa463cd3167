"""PiSSA's start: exact and randomised SVD, ours and PEFT's, for the layers of one transformer block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from balora.adapters import principal_factors
from benchmarks.measure import Result, time_in_turns

BLOCKS = {
    "0.5B": [(896, 896), (128, 896), (128, 896), (896, 896), (4864, 896), (4864, 896), (896, 4864)],
    "7B": [(4096, 4096)] * 4 + [(11008, 4096)] * 2 + [(4096, 11008)],
}
LAYERS = {"0.5B": 24, "7B": 32}
RANK = {"0.5B": 64, "7B": 128}


def peft_way(weight: Tensor, rank: int, niter: int | None) -> Any:
    """What PEFT's `pissa` and `pissa_niter_[n]` compute."""
    if niter is None:
        return torch.linalg.svd(weight.float(), full_matrices=False)
    return torch.svd_lowrank(weight.float(), rank, niter=niter)


def gate(weight: Tensor, rank: int) -> float:
    """How much more of the weight the randomised start leaves than the exact one, relative."""
    exact = principal_factors(weight, rank)
    quick = principal_factors(weight, rank, svd="randomized")
    left = [(weight.float() - f.up @ f.down).norm().item() for f in (exact, quick)]
    if left[1] > 1.01 * left[0]:
        raise SystemExit(f"the randomised start misses {left[1] / left[0] - 1:.2%} of the weight; nothing was timed")
    return left[1] / left[0] - 1


def _start_all(start: Callable[[Tensor], Any], weights: list[Tensor]) -> None:
    for weight in weights:
        start(weight)


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """One block of each model; the exact SVD of 7B only on a GPU or when asked for by name."""
    results = []
    for name in shapes or (tuple(BLOCKS) if device == "cuda" else ("0.5B",)):
        generator = torch.Generator(device).manual_seed(0)
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        weights = [torch.randn(*s, generator=generator, device=device).to(dtype) / s[1] ** 0.5 for s in BLOCKS[name]]
        rank = RANK[name]
        variants: dict[str, Callable[[Tensor], Any]] = {
            "PEFT pissa_niter_16": lambda w, r=rank: peft_way(w, r, 16),
            "PEFT pissa": lambda w, r=rank: peft_way(w, r, None),
            "balora randomized": lambda w, r=rank: principal_factors(w, r, svd="randomized"),
            "balora exact": lambda w, r=rank: principal_factors(w, r),
        }
        calls = {variant: partial(_start_all, start, weights) for variant, start in variants.items()}
        result = Result(f"start of one of {LAYERS[name]} blocks, {name}, r={rank}", device, "PEFT pissa_niter_16")
        result.gates["randomized against exact"] = gate(weights[0], rank)
        result.seconds = time_in_turns(calls, device=device, rounds=max(1, rounds // 3))
        results.append(result)
    return results
