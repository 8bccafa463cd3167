"""Whether numbers are finite, asked of many tensors at once."""

from __future__ import annotations

import torch
from torch import Tensor


def first_not_finite(named: list[tuple[str, Tensor]]) -> str | None:
    """The name of a tensor that holds NaN or an infinity; None where none does. One wait for the device."""
    numbers = [(name, tensor) for name, tensor in named if tensor.is_floating_point() and tensor.numel()]
    if not numbers:
        return None
    largest = torch._foreach_norm([tensor for _, tensor in numbers], float("inf"))
    finite = torch.isfinite(torch.stack([value.float().to(largest[0].device) for value in largest])).tolist()
    return next((name for (name, _), good in zip(numbers, finite, strict=True) if not good), None)
