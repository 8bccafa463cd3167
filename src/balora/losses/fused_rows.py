"""Task loss, consistency and focused entropy of a chunk of rows, with their gradient, in one pass over its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class RowSums(NamedTuple):
    """Sums over the chunk's rows, each already over its own divisor; raw, before the term's weight."""

    task: Tensor
    consistency: Tensor
    diversity: Tensor


class RowScales(NamedTuple):
    """What each row of a chunk counts, (c,): 0 where it does not."""

    task: Tensor
    """1/items where the row has a label."""
    terms: Tensor
    """1/term_items where the regularizers see the row."""


class RowTerms(NamedTuple):
    """The row-wise terms of equation (12) and their numbers."""

    consistency_weight: Tensor | None
    """λ1 as a scalar on the logits' device; None: the term is off."""
    diversity_weight: Tensor | None
    """λ2 likewise."""
    temperature: float
    top_k: int
    label_smoothing: float = 0.0


@dataclass(frozen=True, slots=True)
class AfterHead:
    """What a model does to the product of states and head weight: z = c·tanh(s·(Wh + b)/c)."""

    bias: Tensor | None = None
    """b, (V,)."""
    scale: float = 1.0
    """s."""
    soft_cap: float | None = None
    """c; None: z = s·(Wh + b)."""

    def logits(self, product: Tensor, wide: torch.dtype) -> Tensor:
        """The logits z of a product, (c, V), in the type `wide`; a product of that type is overwritten."""
        logits = product.to(wide)
        if self.bias is not None:
            logits += self.bias.to(wide)
        if self.scale != 1.0:
            logits *= self.scale
        if self.soft_cap is not None:
            logits.div_(self.soft_cap).tanh_().mul_(self.soft_cap)
        return logits

    def slope(self, logits: Tensor) -> Tensor | float:
        """∂z/∂(Wh) at these logits: s·(1 − (z/c)²), or s."""
        if self.soft_cap is None:
            return self.scale
        return (1 - (logits / self.soft_cap).square_()).mul_(self.scale)


def chunk_with_gradient(
    student: tuple[Tensor, AfterHead],
    teacher: tuple[Tensor, AfterHead] | None,
    labels: Tensor,
    scales: RowScales,
    terms: RowTerms,
    unit: Tensor | float = 1.0,
) -> tuple[RowSums, Tensor]:
    """As `rows_with_gradient`, from the products of states and head weight to the derivative by the student's product.

    Everything between the matrix products of a chunk: what a compiler may fuse.

    Args:
        student: product (c, V) in any format, and what follows it.
        teacher: likewise; None where the consistency term is off.
        labels: (c,).
        scales: what each row counts; their type is the one that sums and softmaxes run in.
        terms: weights and numbers.
        unit: the derivative is divided by it, for formats without room for small numbers.

    Returns:
        The sums, and the derivative, (c, V), in the format of the student's product.
    """
    product, after = student
    wide = scales.task.dtype
    logits = after.logits(product, wide)
    slope = after.slope(logits)
    teacher_logits = None if teacher is None else teacher[1].logits(teacher[0], wide)
    sums, gradient = rows_with_gradient(logits, teacher_logits, labels, scales, terms)
    if not isinstance(slope, float) or slope != 1.0:
        gradient.mul_(slope)
    if not isinstance(unit, float) or unit != 1.0:
        gradient.div_(unit)
    return sums, gradient.to(product.dtype)


def rows_with_gradient(
    logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, scales: RowScales, terms: RowTerms
) -> tuple[RowSums, Tensor]:
    """The row-wise part of equation (12) and its derivative with respect to the logits.

        task          lse(z) − (1−ε)·z_y − ε·mean(z)         →  softmax(z) − (1−ε)·onehot(y) − ε/V
        consistency   T²·KL(softmax(z_P/T) ‖ softmax(z/T))   →  T·(softmax(z/T) − softmax(z_P/T))
        diversity     Σ_{topK} p'·log p'                     →  p'·(log p' − Σ p' log p')  on the top K

    Args:
        logits: (c, V), float32 or float64; overwritten.
        teacher_logits: same shape, overwritten; None where the consistency term is off.
        labels: (c,), any value where the task scale is 0.
        scales: what each row counts.
        terms: λ1, λ2, T, K and the label smoothing ε.

    Returns:
        The sums, and the gradient of task + λ1·consistency + λ2·diversity, (c, V).
    """
    zero = logits.new_zeros(())
    consistency = diversity = zero
    temperature, smoothing = terms.temperature, terms.label_smoothing
    safe_labels = labels.clamp_min(0)
    log_normaliser = torch.logsumexp(logits, dim=1)
    aimed_at = (1 - smoothing) * logits.gather(1, safe_labels[:, None]).squeeze(1)
    if smoothing:
        aimed_at = aimed_at + smoothing * logits.mean(dim=1)
    task = ((log_normaliser - aimed_at) * scales.task).sum()
    if terms.diversity_weight is not None:
        largest, places = logits.topk(min(terms.top_k, logits.shape[1]), dim=1)
        log_share = torch.log_softmax(largest, dim=1)
        share = log_share.exp()
        entropy = (share * log_share).sum(dim=1)
        diversity = (entropy * scales.terms).sum()
        pull = share * (log_share - entropy[:, None]) * (terms.diversity_weight * scales.terms)[:, None]
    if terms.consistency_weight is not None and teacher_logits is not None:
        student_log = torch.log_softmax(logits / temperature, dim=1)
        teacher_log = torch.log_softmax(teacher_logits.div_(temperature), dim=1)
        teacher_share = teacher_log.exp()
        divergence = (teacher_share * teacher_log.sub_(student_log)).sum(dim=1)
        consistency = temperature**2 * (divergence * scales.terms).sum()
        towards_teacher = student_log.exp_().sub_(teacher_share)
        towards_teacher.mul_((terms.consistency_weight * temperature * scales.terms)[:, None])
    gradient = logits.sub_(log_normaliser[:, None]).exp_()
    if smoothing:
        gradient.sub_(smoothing / logits.shape[1])
    gradient.mul_(scales.task[:, None])
    gradient.scatter_add_(1, safe_labels[:, None], (smoothing - 1) * scales.task[:, None])
    if terms.consistency_weight is not None and teacher_logits is not None:
        gradient.add_(towards_teacher)
    if terms.diversity_weight is not None:
        gradient.scatter_add_(1, places, pull)
    return RowSums(task, consistency, diversity), gradient
