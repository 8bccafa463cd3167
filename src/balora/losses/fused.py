"""The generation objective without logits: hidden states in, equation (12) and its gradient out, chunk by chunk.

    for each chunk of rows:   Z = H·Wᵀ,  Z_P = H_P·Wᵀ,  loss and ∂loss/∂Z at once,  ∂loss/∂H = ∂loss/∂Z·W

Three products per chunk and none for ∂W, because the head is frozen. The spectral term comes from H and WᵀW
(`losses/gram.py`). No tensor of rows × vocabulary elements is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from balora.losses.fused_rows import RowScales, RowSums, rows_with_gradient
from balora.losses.gram import HeadGram, SpectralMemory, spectral_concentration_of_hidden
from balora.losses.objective import WHOLE, BatchPart, Weights
from balora.losses.report import LossReport
from balora.losses.schedule import TERMS
from balora.losses.spectral import Center
from balora.task import IGNORED_LABEL

BYTES_PER_LOGIT = 24
"""Working memory of a chunk per logit: logits, teacher logits, two log-softmaxes, a softmax and a temporary."""
DEFAULT_CHUNK_BYTES = 1 << 29
ROW_MULTIPLE = 64
"""Chunks are multiples of this many rows, as matrix units like them."""


@dataclass(frozen=True)
class FusedOptions:
    """What the fused objective needs beyond the paper's numbers."""

    head_bias: Tensor | None = None
    """(V,), frozen."""
    logit_scale: float = 1.0
    """A factor on the logits that the model applies after its head."""
    head_gram: HeadGram | None = None
    """WᵀW of this head; computed on the spot where it is not given."""
    spectral_memory: SpectralMemory | None = None
    """The spectral term's warm start between steps."""
    teacher_mask: Tensor | None = None
    """(M,), True where the teacher has answered; `teacher_hidden` then holds only these rows. None: everywhere."""
    center: Center = "none"
    """What is subtracted before the spectral term."""
    term_mask: Tensor | None = None
    """(M,), True where the regularizers see the row; None: where it has a label."""
    spectral_groups: list[int] | None = None
    """How many of the rows that the terms see fall into each spectral group, in order; None: one group."""
    chunk_bytes: int = DEFAULT_CHUNK_BYTES
    """Working memory of one chunk."""


PLAIN = FusedOptions()


def fused_generation_objective(
    student_hidden: Tensor,
    teacher_hidden: Tensor | None,
    head_weight: Tensor,
    labels: Tensor,
    *,
    weights: Weights,
    temperature: float = 2.0,
    top_k: int = 20,
    spectral_k: float = 10,
    part: BatchPart = WHOLE,
    options: FusedOptions = PLAIN,
) -> LossReport:
    """Equation (12) from the hidden states that enter a frozen language-model head.

    Args:
        student_hidden: (M, d) with gradient; products run in its type, sums and softmaxes in float32 or wider.
        teacher_hidden: same shape; may be None where the consistency weight is 0.
        head_weight: (V, d), frozen.
        labels: (M,), already shifted, −100 where nothing is to be learned.
        weights: mapping with the keys consistency, diversity, spectral; a missing key counts as 0.
        temperature: T of the consistency term.
        top_k: K of the diversity term.
        spectral_k: k of the spectral term.
        part: which part of an accumulated batch this is.
        options: head bias, logit scale, chunk size and what is kept between steps.

    Returns:
        The same report as `GenerationObjective` on the explicit logits; only `total` carries a gradient.

    Raises:
        ValueError: on shapes that do not fit, a head that requires a gradient, or a missing teacher.

    Example:
        >>> hidden, head = torch.randn(6, 8, requires_grad=True), torch.randn(50, 8)
        >>> report = fused_generation_objective(hidden, hidden.detach(), head, torch.arange(6), weights={})
        >>> report.total.backward()

    Source: arXiv 2408.04556, equations 9-12; gradient in the forward pass as in the field's fused cross-entropies.
    """
    check_inputs(student_hidden, teacher_hidden, head_weight, labels, weights, options.teacher_mask)
    labelled = labels != IGNORED_LABEL
    seen = labelled if options.term_mask is None else options.term_mask
    row_wise = (student_hidden, teacher_hidden, head_weight, labels), (labelled, seen)
    total, task, consistency, diversity = _row_wise(*row_wise, weights, (temperature, top_k), part, options)
    spectral = total.new_zeros(())
    if weights.get("spectral", 0.0):
        spectral = part.share_of_groups(_spectral(student_hidden[seen], head_weight, spectral_k, options))
        total = total + weights["spectral"] * spectral
    applied = {term: weights.get(term, 0.0) for term in TERMS}
    return LossReport(total, task, consistency, diversity, spectral, int(labelled.sum()), applied)


def _row_wise(
    tensors: tuple[Tensor, Tensor | None, Tensor, Tensor],
    masks: tuple[Tensor, Tensor],
    weights: Weights,
    paper: tuple[float, int],
    part: BatchPart,
    options: FusedOptions,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Their weighted total, task, consistency and diversity."""
    hidden, teacher_hidden, head_weight, labels = tensors
    labelled, seen = masks
    kept = labelled | seen
    items = labelled.sum().clamp_min(1) if part.items is None else part.items
    term_items = part.term_items
    if term_items is None:
        term_items = items if options.term_mask is None else seen.sum().clamp_min(1)
    wide = torch.promote_types(hidden.dtype, torch.float32)
    answered = options.teacher_mask
    found = []
    for rows, weight in [(kept, True)] if answered is None else [(kept & answered, True), (kept & ~answered, False)]:
        applied = {term: float(weights.get(term, 0.0)) for term in TERMS}
        applied["consistency"] *= weight / part.teacher_fraction
        found.append(
            _RowWise.apply(  # type: ignore[no-untyped-call]
                hidden[rows],
                None
                if teacher_hidden is None or not weight
                else teacher_hidden[kept if answered is None else kept[answered]],
                head_weight,
                labels[rows],
                RowScales(labelled[rows].to(wide) / items, seen[rows].to(wide) / term_items),
                applied,
                paper,
                options,
            )
        )
    total, task, consistency, diversity = (torch.stack(values).sum(dim=0) for values in zip(*found, strict=True))
    return total, task, consistency / part.teacher_fraction, diversity


def _spectral(rows: Tensor, head_weight: Tensor, k: float, options: FusedOptions) -> list[Tensor]:
    """The term of each group."""
    gram = options.head_gram or HeadGram.of(head_weight, options.head_bias)
    return [
        spectral_concentration_of_hidden(group, gram, k=k, center=options.center, memory=options.spectral_memory)
        for group in torch.split(rows, options.spectral_groups or [rows.shape[0]])
    ]


def check_inputs(
    student_hidden: Tensor,
    teacher_hidden: Tensor | None,
    head_weight: Tensor,
    labels: Tensor,
    weights: Weights,
    teacher_mask: Tensor | None = None,
) -> None:
    """Refuse shapes that do not fit before anything is computed.

    Raises:
        ValueError: names what was found and what was expected.
    """
    if student_hidden.dim() != 2 or head_weight.dim() != 2 or student_hidden.shape[1] != head_weight.shape[1]:
        raise ValueError(
            f"student_hidden {tuple(student_hidden.shape)} and head_weight {tuple(head_weight.shape)}; "
            "expected (M, d) and (V, d)"
        )
    if labels.shape != student_hidden.shape[:1]:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; expected {tuple(student_hidden.shape[:1])}")
    if weights.get("consistency", 0.0) and teacher_hidden is None:
        raise ValueError("the consistency term has a weight but no teacher states were given")
    answers = student_hidden.shape[0] if teacher_mask is None else int(teacher_mask.sum())
    if teacher_hidden is not None and teacher_hidden.shape != (answers, student_hidden.shape[1]):
        expected = (answers, student_hidden.shape[1])
        raise ValueError(f"teacher_hidden has shape {tuple(teacher_hidden.shape)}; expected {expected}")
    if head_weight.requires_grad:
        raise ValueError("the head requires a gradient; use the explicit objective for a trained head")


def chunk_rows(rows: int, vocabulary: int, chunk_bytes: int) -> int:
    """How many rows a chunk holds: what the byte budget allows, a multiple of 64, at least 64 and at most all.

    >>> chunk_rows(rows=10_000, vocabulary=32_000, chunk_bytes=1 << 29)
    640
    """
    fitting = chunk_bytes // (BYTES_PER_LOGIT * vocabulary) // ROW_MULTIPLE * ROW_MULTIPLE
    return max(1, min(max(fitting, ROW_MULTIPLE), rows))


class _RowWise(torch.autograd.Function):
    """Task, consistency and diversity; the gradient is made in the forward pass and scaled in the backward."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        teacher_hidden: Tensor | None,
        head_weight: Tensor,
        labels: Tensor,
        scales: RowScales,
        weights: dict[str, float],
        paper: tuple[float, int],
        options: FusedOptions,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = scales.task.dtype
        # Float16 has no room below 6e-8, where derivatives of a mean over many tokens live: the product sees them
        # before the division, the result is kept wide until the loss scaler has had its say.
        narrow = hidden.dtype == torch.float16
        gradient = torch.zeros_like(hidden, dtype=wide if narrow else hidden.dtype)
        unit = torch.maximum(scales.task.max(), scales.terms.max()) if narrow and hidden.numel() else 1.0
        sums = [torch.zeros((), dtype=wide, device=hidden.device) for _ in RowSums._fields]
        head_weight = head_weight.to(hidden.dtype)
        for rows in _chunks(hidden.shape[0], head_weight.shape[0], options.chunk_bytes):
            teacher = None
            if weights["consistency"] and teacher_hidden is not None:
                teacher = _logits(teacher_hidden[rows], head_weight, options, wide)
            found, by_logits = rows_with_gradient(
                _logits(hidden[rows], head_weight, options, wide),
                teacher,
                labels[rows],
                RowScales(scales.task[rows], scales.terms[rows]),
                consistency_weight=weights["consistency"],
                diversity_weight=weights["diversity"],
                temperature=paper[0],
                top_k=paper[1],
            )
            sums = [total + value for total, value in zip(sums, found, strict=True)]
            by_hidden = by_logits.mul_(options.logit_scale / unit).to(hidden.dtype) @ head_weight
            gradient[rows] = by_hidden.to(gradient.dtype) * unit
        ctx.save_for_backward(gradient)
        ctx.hidden_dtype = hidden.dtype
        task, consistency, diversity = sums
        total = task + weights["consistency"] * consistency + weights["diversity"] * diversity
        ctx.mark_non_differentiable(task, consistency, diversity)
        return total, task, consistency, diversity

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        scaled = gradient * gradients[0].to(gradient.dtype)
        return (scaled.to(ctx.hidden_dtype), *[None] * 7)


def _chunks(rows: int, vocabulary: int, chunk_bytes: int) -> Iterator[slice]:
    step = chunk_rows(rows, vocabulary, chunk_bytes)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _logits(hidden: Tensor, head_weight: Tensor, options: FusedOptions, wide: torch.dtype) -> Tensor:
    logits = (hidden @ head_weight.T).to(wide)
    if options.head_bias is not None:
        logits += options.head_bias.to(wide)
    return logits.mul_(options.logit_scale) if options.logit_scale != 1.0 else logits
