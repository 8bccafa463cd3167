"""The loss and the head alone: from hidden states to their gradient, at real vocabulary sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from balora.losses import (
    FusedOptions,
    GenerationObjective,
    HeadGram,
    LossReport,
    ObjectiveSettings,
    SpectralMemory,
    fused_generation_objective,
)
from balora.training.compiled_chunk import chunk_function_for
from balora.training.fused_path import CHUNK_MIB
from benchmarks.measure import Result, cpu_peak_mib, cuda_peak_mib, time_in_turns

WEIGHTS = {"consistency": 0.025, "diversity": 0.005, "spectral": 0.005}


@dataclass(frozen=True)
class HeadShape:
    """Width and vocabulary of a model's head."""

    name: str
    width: int
    vocabulary: int


SHAPES = (HeadShape("0.5B", 896, 151_936), HeadShape("7B", 4096, 32_000), HeadShape("8B", 4096, 128_256))
ROWS = {"cpu": 1024, "cuda": 8192}
GROUPS = 4
GATE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


@dataclass
class Inputs:
    """States of student and teacher, head, labels."""

    student: Tensor
    teacher: Tensor
    head: Tensor
    labels: Tensor
    gram: HeadGram | None
    memory: SpectralMemory


def make_inputs(shape: HeadShape, rows: int, device: str) -> Inputs:
    """Random states whose spectrum decays as that of real ones does, and a frozen head."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator(device).manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=device)

    decay = torch.arange(1, shape.width + 1, device=device).float().pow(-0.3)
    student = normal(rows, shape.width) * decay
    teacher = student + 0.1 * normal(rows, shape.width) * decay
    head = normal(shape.vocabulary, shape.width).to(dtype) * 0.1
    labels = torch.randint(shape.vocabulary, (rows,), generator=generator, device=device)
    return Inputs(student.to(dtype), teacher.to(dtype), head, labels, None, SpectralMemory())


def fused(inputs: Inputs, weights: dict[str, float], *, compiled: bool = False) -> tuple[LossReport, Tensor]:
    """Our loss without logits.

    Raises:
        ImportError: it was to be compiled, and no compiler works here.
    """
    function, plain_because = chunk_function(compiled, inputs.head.device, inputs.head.dtype)
    if plain_because:
        raise ImportError(plain_because)
    if inputs.gram is None and weights.get("spectral"):
        inputs.gram = HeadGram.of(inputs.head)
    rows = len(inputs.labels)
    leaf = inputs.student.detach().requires_grad_()
    report = fused_generation_objective(
        leaf,
        inputs.teacher if weights.get("consistency") else None,
        inputs.head,
        inputs.labels,
        weights=weights,
        options=FusedOptions(
            head_gram=inputs.gram,
            spectral_memory=inputs.memory,
            spectral_groups=[rows // GROUPS] * GROUPS,
            chunk_bytes=CHUNK_MIB[inputs.head.device.type == "cpu"] << 20,
            chunk_function=function,
        ),
    )
    (gradient,) = torch.autograd.grad(report.total, leaf)
    return report, gradient


chunk_function = cache(chunk_function_for)
"""Compiled once per process, as a run does."""


def explicit(inputs: Inputs) -> tuple[LossReport, Tensor]:
    """The same loss on explicit logits."""
    settings = ObjectiveSettings(form="nlg", spectral_group_sequences=1)
    objective = GenerationObjective(settings, shift=False)
    leaf = inputs.student.detach().requires_grad_()
    shape = (GROUPS, len(inputs.labels) // GROUPS)
    logits = (leaf @ inputs.head.T).view(*shape, -1)
    with torch.no_grad():
        teacher = (inputs.teacher @ inputs.head.T).view(*shape, -1)
    report = objective(logits, teacher, inputs.labels.view(shape), weights=WEIGHTS)
    (gradient,) = torch.autograd.grad(report.total, leaf)
    return report, gradient


def plain_cross_entropy(inputs: Inputs) -> Tensor:
    """What transformers does for every causal language model: logits, upcast, cross-entropy."""
    leaf = inputs.student.detach().requires_grad_()
    logits = (leaf @ inputs.head.T).float()
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, inputs.labels), leaf)
    return gradient


def liger_cross_entropy(inputs: Inputs) -> Tensor:
    """Liger's fused linear cross-entropy, task loss only; needs its package and a GPU."""
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    leaf = inputs.student.detach().requires_grad_()
    value = LigerFusedLinearCrossEntropyLoss()(inputs.head, leaf, inputs.labels)
    (gradient,) = torch.autograd.grad(value, leaf)
    return gradient


def naive(inputs: Inputs) -> Tensor:
    """The paper's way, written anew: both logit matrices, a randomised SVD with 2 power iterations per group."""
    leaf = inputs.student.detach().requires_grad_()
    logits = (leaf @ inputs.head.T).float()
    with torch.no_grad():
        teacher = (inputs.teacher @ inputs.head.T).float()
    task = torch.nn.functional.cross_entropy(logits, inputs.labels)
    kl = torch.nn.functional.kl_div(
        torch.log_softmax(logits / 2, -1), torch.softmax(teacher / 2, -1), reduction="batchmean"
    )
    share = torch.softmax(logits.topk(20, dim=-1).values, -1)
    entropy = (share * share.log()).sum(-1).mean()
    spectral = torch.stack(
        [-torch.svd_lowrank(group, q=15, niter=2)[1][:10].sum() / group.norm() for group in logits.chunk(GROUPS)]
    ).mean()
    total = task + 0.025 * 4 * kl + 0.005 * entropy + 0.005 * spectral
    (gradient,) = torch.autograd.grad(total, leaf)
    return gradient


VARIANTS: dict[str, Callable[[Inputs], Any]] = {
    "plain cross-entropy": plain_cross_entropy,
    "balora, task only": lambda inputs: fused(inputs, {}),
    "balora": lambda inputs: fused(inputs, WEIGHTS),
    "balora, compiled": lambda inputs: fused(inputs, WEIGHTS, compiled=True),
    "explicit logits": explicit,
    "naive (svd_lowrank)": naive,
    "liger cross-entropy": liger_cross_entropy,
}


def gate(inputs: Inputs, *, compiled: bool = False) -> float:
    """Largest relative error of the gradient against the explicit objective.

    Raises:
        SystemExit: it is too large to time anything.
    """
    report, gradient = fused(inputs, WEIGHTS, compiled=compiled)
    truth_report, truth = explicit(inputs)
    error = ((gradient - truth).float().norm() / truth.float().norm()).item()
    error = max(error, abs(report.total - truth_report.total).item() / abs(truth_report.total).item())
    if not error <= GATE[inputs.head.dtype]:
        raise SystemExit(f"the fused loss is wrong by {error:.2g}; nothing was timed")
    return error


def work_for(variant: str, shape: HeadShape, rows: int) -> Callable[[], Any]:
    """For a fresh process: make the inputs, return the work."""
    inputs = make_inputs(shape, rows, "cpu")
    if variant.startswith("balora"):
        inputs.gram = HeadGram.of(inputs.head)
    return lambda: VARIANTS[variant](inputs)


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = (), rows: int | None = None) -> list[Result]:
    """Every variant that this machine can run, at every shape."""
    results = []
    for shape in [shape for shape in SHAPES if not shapes or shape.name in shapes]:
        count = rows or ROWS[device]
        result = Result(f"loss and head, {shape.name}: {count} x {shape.width} x {shape.vocabulary:,}", device, "")
        result.base = "plain cross-entropy"
        inputs = make_inputs(shape, count, device)
        result.gates["balora against explicit logits"] = gate(inputs)
        usable = {}
        for name, variant in VARIANTS.items():
            try:
                variant(inputs)
                usable[name] = variant
            except ImportError as error:
                result.notes.append(f"{name}: not possible here: {error}")
            except torch.OutOfMemoryError:
                result.notes.append(f"{name}: out of memory")
        if "balora, compiled" in usable:
            result.gates["balora, compiled, against explicit logits"] = gate(inputs, compiled=True)
        calls = {name: partial(variant, inputs) for name, variant in usable.items()}
        result.seconds = time_in_turns(calls, device=device, rounds=rounds)
        for name, call in calls.items():
            if device == "cuda":
                result.peak_mib[name] = cuda_peak_mib(call)
            else:
                result.peak_mib[name] = cpu_peak_mib("benchmarks.loss", "work_for", name, shape, count)
        results.append(result)
    return results
