"""From logits and a mask to the rows that count, and from row values to one number.

Legend for this room: N rows, D classes, M valid tokens, V vocabulary; `rows` is always 2-D, one distribution per row.
"""

from __future__ import annotations

import torch
from torch import Tensor


def valid_rows(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """The rows that count, in float32 (or float64 if that is what came in).

    Args:
        logits: (..., D), any float type.
        mask: (...), boolean, True where the row counts; None counts every row.

    Returns:
        (M, D). Rows outside the mask are dropped before any arithmetic, so NaN or inf in them does no harm.

    Raises:
        ValueError: when the mask is not boolean or its shape is not that of the logits without their last axis.
    """
    if logits.dim() < 2:
        raise ValueError(f"logits have shape {tuple(logits.shape)}; expected rows and a last axis of classes")
    if mask is None:
        rows = logits.reshape(-1, logits.shape[-1])
    else:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}; expected bool, True where a row counts")
        if mask.shape != logits.shape[:-1]:
            raise ValueError(f"mask has shape {tuple(mask.shape)}; expected {tuple(logits.shape[:-1])}")
        rows = logits[mask]
    return rows if rows.dtype == torch.float64 else rows.float()


def paired_rows(student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """`valid_rows` of both models; the teacher's carry no gradient.

    Raises:
        ValueError: when the two shapes differ; nothing is broadcast.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student logits {tuple(student_logits.shape)} and teacher logits {tuple(teacher_logits.shape)} differ"
        )
    student, teacher = valid_rows(student_logits, mask), valid_rows(teacher_logits.detach(), mask)
    return student, teacher.to(student.dtype)


def mean_over(values: Tensor, count: Tensor | float | None = None) -> Tensor:
    """Sum of row values over `count`; without it over their number. No rows give 0 with a gradient of 0.

    A count other than the number of rows is what makes gradient accumulation exact: every micro-batch divides by the
    items of the whole batch.
    """
    if count is None:
        count = max(values.numel(), 1)
    return values.sum() / count
