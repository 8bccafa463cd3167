"""The slow twin: every term again, row by row in float64 with textbook formulas, for tests and benchmarks.

Nothing here shares code with the fast versions. Inputs are converted to float64; gradients come from autograd through
these plain operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def _rows(logits: Tensor, mask: Tensor | None) -> list[Tensor]:
    flat = logits.double().flatten(0, -2)
    keep = [True] * len(flat) if mask is None else mask.flatten().tolist()
    return [row for row, kept in zip(flat, keep, strict=True) if kept]


def _mean(values: Iterable[Tensor], like: Tensor) -> Tensor:
    listed = list(values)
    return sum(listed, start=like.double().sum() * 0) / max(len(listed), 1)


def _softmax(row: Tensor) -> Tensor:
    weights = torch.exp(row - row.max().detach())
    return weights / weights.sum()


def consistency_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float, mask: Tensor | None = None
) -> Tensor:
    """Equations 4 and 9, one row at a time."""
    values = []
    for student, teacher in zip(_rows(student_logits, mask), _rows(teacher_logits.detach(), mask), strict=True):
        p, q = _softmax(teacher / temperature), _softmax(student / temperature)
        values.append(temperature**2 * sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True)))
    return _mean(values, student_logits)


def consistency_mse(student_logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference, one row at a time."""
    pairs = zip(_rows(student_logits, mask), _rows(teacher_logits.detach(), mask), strict=True)
    return _mean([((s - t) ** 2).sum() / len(s) for s, t in pairs], student_logits)


def normalized_mse(student_logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """The first version's consistency for classification, one row at a time."""
    pairs = zip(_rows(student_logits, mask), _rows(teacher_logits.detach(), mask), strict=True)
    return _mean([((s / (s @ s).sqrt() - t / (t @ t).sqrt()) ** 2).sum() for s, t in pairs], student_logits)


def covariance_diversity(logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Equations 5 and 6, one pair of classes at a time."""
    rows = _rows(logits, mask)
    classes = logits.shape[-1]
    total = logits.double().sum() * 0
    if len(rows) < 2:
        return total
    means = [sum(row[i] for row in rows) / len(rows) for i in range(classes)]
    for i in range(classes):
        for j in range(classes):
            if i != j:
                products = [(row[i] - means[i]) * (row[j] - means[j]) for row in rows]
                total = total + (sum(products) / (len(rows) - 1)) ** 2
    return total / classes


def focused_entropy(logits: Tensor, *, top_k: int, mask: Tensor | None = None) -> Tensor:
    """Equation 10, one token at a time."""
    values = []
    for row in _rows(logits, mask):
        order = sorted(range(len(row)), key=lambda index: -row[index].item())[:top_k]
        p = _softmax(row[order])
        values.append(sum(value * value.log() for value in p))
    return _mean(values, logits)


def full_entropy(logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """The first version's diversity for generation: equation 10 with the whole vocabulary."""
    return focused_entropy(logits, top_k=logits.shape[-1], mask=mask)


def _singular_values(logits: Tensor, mask: Tensor | None, center: str) -> Tensor | None:
    rows = _rows(logits, mask)
    if not rows:
        return None
    matrix = torch.stack(rows)
    if center != "none":
        matrix = matrix - torch.stack([column.mean() for column in matrix.T])
    if center == "batch_and_class":
        matrix = torch.stack([row - row.mean() for row in matrix])
    values: Tensor = torch.linalg.svdvals(matrix)
    return values


def _top(k: float, values: Tensor) -> int:
    return max(1, min(math.floor(k * len(values)) if k < 1 else int(k), len(values)))


def spectral_share(logits: Tensor, *, k: float, mask: Tensor | None = None, center: str = "none") -> Tensor:
    """Equation 7 through a dense SVD."""
    values = _singular_values(logits, mask, center)
    return logits.double().sum() * 0 if values is None else -values[: _top(k, values)].sum() / values.sum()


def spectral_concentration(logits: Tensor, *, k: float, mask: Tensor | None = None, center: str = "none") -> Tensor:
    """Equation 11 through a dense SVD."""
    values = _singular_values(logits, mask, center)
    return logits.double().sum() * 0 if values is None else -values[: _top(k, values)].sum() / values.norm()


def spectral_share_and_variance(
    logits: Tensor, *, k: float, variance_weight: float, mask: Tensor | None = None, center: str = "none"
) -> Tensor:
    """The first version's spectral term for generation through a dense SVD."""
    values = _singular_values(logits, mask, center)
    if values is None:
        return logits.double().sum() * 0
    top = values[: _top(k, values)]
    variance = ((top - top.mean()) ** 2).mean()
    return -(top.sum() / values.sum() + variance_weight * variance)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of −log p(label) over rows whose label is not −100, one row at a time."""
    rows = zip(_rows(logits, None), labels.flatten().tolist(), strict=True)
    return _mean([-_softmax(row)[label].log() for row, label in rows if label != -100], logits)


def update_norm_squared(
    up: Tensor,
    down: Tensor,
    up_start: Tensor | None = None,
    down_start: Tensor | None = None,
    *,
    scaling: float = 1.0,
) -> Tensor:
    """The squared Frobenius norm of the change of a weight, with the matrix formed and summed entry by entry."""
    change = up.double() @ down.double()
    if up_start is not None and down_start is not None:
        change = change - up_start.double() @ down_start.double()
    return sum(((scaling * entry) ** 2 for entry in change.flatten()), start=change.sum() * 0)
