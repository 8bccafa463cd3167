"""A penalty on the adapter's weights: the foil to the terms on the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from balora.losses.precision import outside_autocast


@outside_autocast
def update_norm_squared(
    up: Tensor,
    down: Tensor,
    up_start: Tensor | None = None,
    down_start: Tensor | None = None,
    *,
    scaling: float = 1.0,
) -> Tensor:
    """‖s·(B A − B₀ A₀)‖_F² of one layer, without forming the matrix.

        B A − B₀ A₀ = [B − B₀, B₀]·[A; A − A₀] = U D,    ‖U D‖_F² = Σ (UᵀU) ∘ (D Dᵀ)

    In this form nothing cancels: at the start U D is 0 because its factors' differences are.

    Args:
        up: B, (out_features, r).
        down: A, (r, in_features).
        up_start: B₀, (out_features, r); None where the start is 0.
        down_start: A₀, (r, in_features).
        scaling: s.

    Returns:
        Scalar with gradient, worked in float32 or better.

    Example:
        >>> update_norm_squared(torch.tensor([[2.0], [0.0]]), torch.tensor([[3.0, 4.0]])).item()
        100.0

    Source: the paper's appendix D.1 argues for terms on outputs over such a penalty on weights; the formula is the
    usual distance to the pretrained weights (L2-SP, arXiv 1802.01483) for an adapter.
    """
    wide = torch.promote_types(up.dtype, torch.float32)
    up, down = up.to(wide), down.to(wide)
    if up_start is not None and down_start is not None:
        up_first, down_first = up_start.to(wide), down_start.to(wide)
        up, down = torch.cat([up - up_first, up_first], dim=1), torch.cat([down, down - down_first])
    return scaling**2 * ((up.T @ up) * (down @ down.T)).sum()
