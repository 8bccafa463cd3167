"""Diversity: do not collapse onto few outputs (equations 5, 6 and 10), against representation collapse."""

from __future__ import annotations

import torch
from torch import Tensor

from balora.losses.precision import outside_autocast
from balora.losses.reduction import mean_over, valid_rows


@outside_autocast
def covariance_diversity(logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Off-diagonal covariance energy of the batch's logits (equations 5 and 6).

        (1/D) · Σ_{i≠j} C_ij²,   C = (Z − mean)ᵀ(Z − mean) / (N − 1)

    Args:
        logits: (..., D) with gradient.
        mask: (...), boolean, True where the row counts.

    Returns:
        Scalar in logits⁴, at least 0. Exactly 0, with gradient 0, where it is undefined: one row, one class, no row.

    Raises:
        ValueError: on a mask that does not fit.

    Example:
        >>> covariance_diversity(torch.tensor([[1.0, -1.0], [-1.0, 1.0]])).item()
        4.0

    Source: arXiv 2408.04556, equations 5 and 6. Depends on the batch as a whole: over micro-batches the mean of this
    term is not the term of the large batch.
    """
    rows = valid_rows(logits, mask)
    count, classes = rows.shape
    if count < 2 or classes < 2:
        return rows.sum() * 0.0
    centered = rows - rows.mean(dim=0)
    covariance = centered.T @ centered / (count - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / classes


def top_entropy_rows(rows: Tensor, top_k: int) -> Tensor:
    """Σ p'·log p' over the `top_k` largest logits of each row, (M, V) -> (M,), in nats, between −log K and 0."""
    largest = rows.topk(min(top_k, rows.shape[-1]), dim=-1, sorted=False).values
    log_probability = torch.log_softmax(largest, dim=-1)
    share = log_probability.exp()
    return (share * log_probability.masked_fill(share == 0, 0.0)).sum(dim=-1)


@outside_autocast
def focused_entropy(logits: Tensor, *, top_k: int, mask: Tensor | None = None) -> Tensor:
    """Negative entropy among the K most likely tokens, mean over valid tokens (equation 10).

        mean_m Σ_{v ∈ topK(m)} p'_m(v) · log p'_m(v),   p' = softmax of the K largest student logits

    Minimising it raises the entropy among plausible tokens and leaves the rest of the vocabulary alone. Which tokens
    are in the set is not differentiated.

    Args:
        logits: (..., V) with gradient.
        top_k: K >= 1; more than V means V.
        mask: (...), boolean, True where the token counts.

    Returns:
        Scalar in nats between −log K and 0; 0 when no token is valid.

    Raises:
        ValueError: on a mask that does not fit or K < 1.

    Example:
        >>> round(focused_entropy(torch.zeros(1, 8), top_k=4).item(), 4)  # −log 4
        -1.3863

    Source: arXiv 2408.04556, equation 10; no temperature, as in the authors' code.
    """
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}; expected at least 1")
    return mean_over(top_entropy_rows(valid_rows(logits, mask), top_k))


@outside_autocast
def full_entropy(logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Negative entropy over the whole vocabulary, mean over valid tokens (first version, generation).

        mean_m Σ_v p_m(v) · log p_m(v)

    Args:
        logits: (..., V) with gradient.
        mask: (...), boolean, True where the token counts.

    Returns:
        Scalar in nats between −log V and 0; 0 when no token is valid.

    Raises:
        ValueError: on a mask that does not fit.

    Source: arXiv 2408.04556v1, equation 11. Differs from the paper in: the sign. Its formula, −Σ p log p, would be
    minimised by collapse, against its own prose; we maximise entropy.
    """
    return mean_over(top_entropy_rows(valid_rows(logits, mask), logits.shape[-1]))
