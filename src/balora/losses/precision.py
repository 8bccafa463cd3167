"""Terms are computed in the type of their rows, whatever autocast the caller stands in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

Given = ParamSpec("Given")


def outside_autocast(term: Callable[Given, Tensor]) -> Callable[Given, Tensor]:
    """The same term with autocast off inside; it would take products of float32 rows in 16 bits.

    Args:
        term: a function of tensors on one device.
    """

    @wraps(term)
    def exact(*given: Given.args, **named: Given.kwargs) -> Tensor:
        first = next(value for value in (*given, *named.values()) if isinstance(value, Tensor))
        if not torch.is_autocast_enabled(first.device.type):
            return term(*given, **named)
        with torch.autocast(first.device.type, enabled=False):
            return term(*given, **named)

    return exact


def shortest_row(dtype: torch.dtype) -> float:
    """The length below which a row has no direction: the gradient of a direction grows as one over the length.

    With it no gradient of two directions leaves the range of float16, whose largest number is 65504.
    """
    return 2.0**-13 if dtype == torch.float16 else 1e-12
