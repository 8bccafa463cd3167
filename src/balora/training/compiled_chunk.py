"""A compiled version of what runs between the loss's matrix products, checked against the plain one before use."""

from __future__ import annotations

import types
from typing import Any, Literal

import torch
from torch import Tensor

from balora.losses.fused_pass import ChunkFunction
from balora.losses.fused_rows import AfterHead, RowScales, RowSums, RowTerms, chunk_with_gradient

VARIANTS = 32
"""How many variants of a chunk a run may compile."""
_ROWS, _VOCABULARY = 128, 257
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Largest difference of the derivative, relative to its largest entry, by the format of the products."""


def chunk_function_for(
    setting: bool | Literal["auto"], device: torch.device, dtype: torch.dtype, *, backend: str = "inductor"
) -> tuple[ChunkFunction, str]:
    """The chunk function of a run, and why it is not compiled where it was wanted.

    `auto` compiles on CUDA. The compiled function must give the values and derivatives of the plain one on a probe
    with every term on; where it does not, or the compiler fails, the plain one is used.
    """
    if setting is False or (setting == "auto" and device.type != "cuda"):
        return chunk_with_gradient, ""
    try:
        compiled = compile_anew(backend)
        gap = _gap(compiled, device, dtype)
    except Exception as error:  # Whatever a compiler may raise: a missing toolchain is not a reason to stop.
        return chunk_with_gradient, f"the loss could not be compiled: {type(error).__name__}"
    if not gap <= _TOLERANCE.get(dtype, 1e-4):
        return chunk_with_gradient, f"the compiled loss differs from the plain one by {gap:.2g}"
    return compiled, ""


def compile_anew(backend: str) -> ChunkFunction:
    """The compiled chunk function with a cache of its own.

    Dynamo keeps what it compiled with the code and gives up after a few variants: terms that schedules turn on, chunks
    that the teacher was not asked about, a last chunk of another size. So every run has its own code, and more room.
    """
    plain = chunk_with_gradient
    own = types.FunctionType(plain.__code__.replace(), plain.__globals__, plain.__name__, plain.__defaults__)
    compiled = torch.compile(own, backend=backend)

    def run(*inputs: Any) -> tuple[RowSums, Tensor]:
        with torch._dynamo.config.patch(recompile_limit=VARIANTS):
            found: tuple[RowSums, Tensor] = compiled(*inputs)
        return found

    return run


@torch.no_grad()
def _gap(compiled: ChunkFunction, device: torch.device, dtype: torch.dtype) -> float:
    sums, by_product = _probe(compiled, device, dtype)
    true_sums, truth = _probe(chunk_with_gradient, device, dtype)
    values = max(abs(a - b).item() / max(abs(b).item(), 1e-6) for a, b in zip(sums, true_sums, strict=True))
    return max(values, ((by_product - truth).abs().max() / truth.abs().max()).item())


def _probe(function: ChunkFunction, device: torch.device, dtype: torch.dtype) -> tuple[RowSums, Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(_ROWS, _VOCABULARY, generator=generator).to(device, dtype)
    teacher = student + 0.1 * torch.randn(_ROWS, _VOCABULARY, generator=generator).to(device, dtype)
    labels = torch.randint(_VOCABULARY, (_ROWS,), generator=generator).to(device)
    wide = torch.promote_types(dtype, torch.float32)
    share = torch.full((_ROWS,), 1 / _ROWS, device=device, dtype=wide)
    weight = torch.full((), 0.5, device=device, dtype=wide)
    terms = RowTerms(weight, weight, 2.0, 20)
    return function((student, AfterHead()), (teacher, AfterHead()), labels, RowScales(share, share), terms)
