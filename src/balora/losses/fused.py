"""The generation objective without logits: hidden states in, equation (12) and its gradient out, chunk by chunk.

The row-wise terms come from `losses/fused_pass.py`, the spectral term from H and WᵀW (`losses/gram.py`), or block by
block of the vocabulary where logits are soft-capped (`losses/capped.py`). No tensor of rows × vocabulary elements is
ever made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from balora.losses.capped import spectral_concentration_of_capped
from balora.losses.fused_pass import DEFAULT_CHUNK_BYTES, ChunkFunction, FusedPass, RowWise
from balora.losses.fused_rows import AfterHead, RowScales, RowTerms, chunk_with_gradient
from balora.losses.gram import HeadGram, SpectralMemory, spectral_concentration_of_hidden
from balora.losses.objective import WHOLE, BatchPart, Weights
from balora.losses.report import LossReport
from balora.losses.schedule import TERMS
from balora.losses.spectral import Center
from balora.task import IGNORED_LABEL


@dataclass(frozen=True)
class FusedOptions:
    """What the fused objective needs beyond the paper's numbers."""

    head_bias: Tensor | None = None
    """(V,), frozen or trained."""
    logit_scale: float = 1.0
    """A factor on the logits that the model applies after its head."""
    soft_cap: float | None = None
    """c where the model bounds its logits to c·tanh(z/c), as Gemma-2 does."""
    teacher_head: tuple[Tensor, Tensor | None] | None = None
    """Weight and bias of the teacher's head where it is not the student's: a trained head moves away from it."""
    head_gram: HeadGram | None = None
    """WᵀW of a frozen head; computed on the spot where it is not given."""
    spectral_memory: SpectralMemory | None = None
    """The spectral term's warm start between steps."""
    teacher_mask: Tensor | None = None
    """(M,), True where the teacher has answered; `teacher_hidden` then holds only these rows. None: everywhere."""
    center: Center = "none"
    """What is subtracted before the spectral term."""
    label_smoothing: float = 0.0
    """ε of the task loss, as in `torch.nn.functional.cross_entropy`."""
    term_mask: Tensor | None = None
    """(M,), True where the regularizers see the row; None: where it has a label."""
    spectral_groups: list[int] | None = None
    """How many of the rows that the terms see fall into each spectral group, in order; None: one group."""
    chunk_bytes: int = DEFAULT_CHUNK_BYTES
    """Working memory of one chunk."""
    chunk_function: ChunkFunction = chunk_with_gradient
    """What runs between the matrix products of a chunk: `chunk_with_gradient`, or a compiled one."""


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
    """Equation (12) from the hidden states that enter a language-model head.

    Args:
        student_hidden: (M, d) with gradient; products run in its type, sums and softmaxes in float32 or wider.
        teacher_hidden: same shape; may be None where the consistency weight is 0.
        head_weight: (V, d); where it requires a gradient it gets one, as `options.head_bias` does.
        labels: (M,), already shifted, −100 where nothing is to be learned.
        weights: mapping with the keys consistency, diversity, spectral; a missing key counts as 0.
        temperature: T of the consistency term.
        top_k: K of the diversity term.
        spectral_k: k of the spectral term.
        part: which part of an accumulated batch this is.
        options: head bias, logit scale, chunk size and what is kept between steps.

    Returns:
        The same report as `GenerationObjective` on the explicit logits; only `total` carries a gradient, to the
        student's states and to a trained head.

    Raises:
        ValueError: on shapes that do not fit, or a missing teacher.

    Example:
        >>> hidden, head = torch.randn(6, 8, requires_grad=True), torch.randn(50, 8)
        >>> report = fused_generation_objective(hidden, hidden.detach(), head, torch.arange(6), weights={})
        >>> report.total.backward()

    Source: arXiv 2408.04556, equations 9-12; gradient in the forward pass as in the field's fused cross-entropies.
    """
    check_inputs(student_hidden, teacher_hidden, head_weight, labels, weights, options.teacher_mask)
    if not torch.is_grad_enabled():
        head_weight = head_weight.detach()
        options = replace(options, head_bias=None if options.head_bias is None else options.head_bias.detach())
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
    for rows, asked in [(kept, True)] if answered is None else [(kept & answered, True), (kept & ~answered, False)]:
        teacher = None
        if asked and teacher_hidden is not None:
            teacher = teacher_hidden[kept if answered is None else kept[answered]]
        passed = FusedPass(
            teacher_hidden=teacher,
            labels=labels[rows],
            scales=RowScales(labelled[rows].to(wide) / items, seen[rows].to(wide) / term_items),
            terms=RowTerms(
                _weight(weights, "consistency", hidden, wide, asked / part.teacher_fraction),
                _weight(weights, "diversity", hidden, wide),
                *paper,
                options.label_smoothing,
            ),
            after_head=AfterHead(None, options.logit_scale, options.soft_cap),
            teacher_head=options.teacher_head,
            chunk_bytes=options.chunk_bytes,
            chunk_function=options.chunk_function,
        )
        found.append(RowWise.apply(hidden[rows], head_weight, options.head_bias, passed))  # type: ignore[no-untyped-call]
    total, task, consistency, diversity = (torch.stack(values).sum(dim=0) for values in zip(*found, strict=True))
    return total, task, consistency / part.teacher_fraction, diversity


def _weight(weights: Weights, term: str, hidden: Tensor, wide: torch.dtype, factor: float = 1.0) -> Tensor | None:
    """A term's weight where the states are, so that a compiled chunk does not depend on its value; None where off."""
    value = float(weights.get(term, 0.0)) * factor
    return torch.full((), value, dtype=wide, device=hidden.device) if value else None


def _spectral(rows: Tensor, head_weight: Tensor, k: float, options: FusedOptions) -> list[Tensor]:
    """The term of each group."""
    groups = torch.split(rows, options.spectral_groups or [rows.shape[0]])
    if options.soft_cap is not None:
        after_head = AfterHead(options.head_bias, options.logit_scale, options.soft_cap)
        return [
            spectral_concentration_of_capped(
                group, head_weight, after_head, k=k, center=options.center, block_bytes=options.chunk_bytes
            )
            for group in groups
        ]
    gram = options.head_gram or HeadGram.of(head_weight, options.head_bias)
    return [
        spectral_concentration_of_hidden(group, gram, k=k, center=options.center, memory=options.spectral_memory)
        for group in groups
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
