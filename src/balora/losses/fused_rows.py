"""Task loss, consistency and focused entropy of a chunk of rows, with their gradient, in one pass over its logits."""

from __future__ import annotations

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


def rows_with_gradient(
    logits: Tensor,
    teacher_logits: Tensor | None,
    labels: Tensor,
    scales: RowScales,
    *,
    consistency_weight: float,
    diversity_weight: float,
    temperature: float,
    top_k: int,
) -> tuple[RowSums, Tensor]:
    """The row-wise part of equation (12) and its derivative with respect to the logits.

        task          lse(z) − z_y                           →  softmax(z) − onehot(y)
        consistency   T²·KL(softmax(z_P/T) ‖ softmax(z/T))   →  T·(softmax(z/T) − softmax(z_P/T))
        diversity     Σ_{topK} p'·log p'                     →  p'·(log p' − Σ p' log p')  on the top K

    Args:
        logits: (c, V), float32 or float64; overwritten.
        teacher_logits: same shape, overwritten; None where the consistency weight is 0.
        labels: (c,), any value where the task scale is 0.
        scales: what each row counts.
        consistency_weight: λ1.
        diversity_weight: λ2.
        temperature: T.
        top_k: K.

    Returns:
        The sums, and the gradient of task + λ1·consistency + λ2·diversity, (c, V).
    """
    zero = logits.new_zeros(())
    consistency = diversity = zero
    safe_labels = labels.clamp_min(0)
    log_normaliser = torch.logsumexp(logits, dim=1)
    chosen = logits.gather(1, safe_labels[:, None]).squeeze(1)
    task = ((log_normaliser - chosen) * scales.task).sum()
    if diversity_weight:
        largest, places = logits.topk(min(top_k, logits.shape[1]), dim=1)
        log_share = torch.log_softmax(largest, dim=1)
        share = log_share.exp()
        entropy = (share * log_share).sum(dim=1)
        diversity = (entropy * scales.terms).sum()
        pull = share * (log_share - entropy[:, None]) * (diversity_weight * scales.terms)[:, None]
    if consistency_weight and teacher_logits is not None:
        student_log = torch.log_softmax(logits / temperature, dim=1)
        teacher_log = torch.log_softmax(teacher_logits.div_(temperature), dim=1)
        teacher_share = teacher_log.exp()
        divergence = (teacher_share * teacher_log.sub_(student_log)).sum(dim=1)
        consistency = temperature**2 * (divergence * scales.terms).sum()
        towards_teacher = student_log.exp_().sub_(teacher_share)
        towards_teacher.mul_((consistency_weight * temperature * scales.terms)[:, None])
    gradient = logits.sub_(log_normaliser[:, None]).exp_().mul_(scales.task[:, None])
    gradient.scatter_add_(1, safe_labels[:, None], -scales.task[:, None])
    if consistency_weight and teacher_logits is not None:
        gradient.add_(towards_teacher)
    if diversity_weight:
        gradient.scatter_add_(1, places, pull)
    return RowSums(task, consistency, diversity), gradient
