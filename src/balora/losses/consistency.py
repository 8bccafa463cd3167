"""Consistency: stay close to the frozen pretrained model (equations 4 and 9), against knowledge drift."""

from __future__ import annotations

import torch
from torch import Tensor

from balora.losses.precision import outside_autocast, shortest_row
from balora.losses.reduction import mean_over, paired_rows


def kl_rows(student_rows: Tensor, teacher_rows: Tensor, temperature: float) -> Tensor:
    """T²·KL(teacher ‖ student) of each row, (M, D) and (M, D) -> (M,), in nats."""
    # log_softmax on both sides: softmax().log() turns to -inf from a logit gap of 90 on.
    student_log = torch.log_softmax(student_rows / temperature, dim=-1)
    teacher_log = torch.log_softmax(teacher_rows / temperature, dim=-1)
    share = teacher_log.exp()
    # A token ruled out by -inf on both sides contributes nothing, not NaN; a teacher that is NaN itself stays NaN.
    return temperature**2 * torch.where(share == 0, 0.0, share * (teacher_log - student_log)).sum(dim=-1)


@outside_autocast
def consistency_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float, mask: Tensor | None = None
) -> Tensor:
    """Softened KL divergence from the teacher to the student, mean over valid rows (equations 4 and 9).

        T² · mean_i Σ_v P_i(v) · log(P_i(v) / F_i(v)),   P = softmax(Z_P/T),  F = softmax(Z_F/T)

    The direction is teacher to student (forward KL); T² keeps the gradient's size independent of T (Hinton et al.,
    arXiv 1503.02531). For classification the rows are the examples (4), for generation the valid tokens (9).

    Args:
        student_logits: (..., D) with gradient.
        teacher_logits: same shape; detached here.
        temperature: T > 0.
        mask: (...), boolean, True where the row counts.

    Returns:
        Scalar in nats, 0 when both agree, never negative up to rounding; 0 when no row is valid.

    Raises:
        ValueError: on shapes that differ, a mask that does not fit, or T <= 0.

    Example:
        >>> z = torch.tensor([[1.0, 2.0, 3.0]])
        >>> consistency_kl(z, z, temperature=2.0).item()
        0.0

    Source: arXiv 2408.04556, equations 4 and 9. Differs from the paper in: nothing; the batch reduction of (4), which
    the paper does not state, is the mean.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a positive number")
    student, teacher = paired_rows(student_logits, teacher_logits, mask)
    return mean_over(kl_rows(student, teacher, temperature))


def squared_error_rows(student_rows: Tensor, teacher_rows: Tensor) -> Tensor:
    """Mean squared difference of each row, (M, D) -> (M,)."""
    return (student_rows - teacher_rows).square().mean(dim=-1)


@outside_autocast
def consistency_mse(student_logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of the outputs: the consistency term of a regression.

    With one output a softmax is constant and (4) is 0, so the distance is taken between the outputs themselves.

    Args:
        student_logits: (..., D) with gradient, D usually 1.
        teacher_logits: same shape; detached here.
        mask: (...), boolean, True where the row counts.

    Returns:
        Scalar in squared units of the output; 0 when no row is valid.

    Raises:
        ValueError: on shapes that differ or a mask that does not fit.

    Source: ours; the paper trains STS-B but does not say what its term is there.
    """
    student, teacher = paired_rows(student_logits, teacher_logits, mask)
    return mean_over(squared_error_rows(student, teacher))


def normalized_error_rows(student_rows: Tensor, teacher_rows: Tensor, shortest: float) -> Tensor:
    """Squared distance of the rows scaled to length 1, (M, D) -> (M,); rows below `shortest` get less than 1."""
    student = torch.nn.functional.normalize(student_rows, dim=-1, eps=shortest)
    teacher = torch.nn.functional.normalize(teacher_rows, dim=-1, eps=shortest)
    return (student - teacher).square().sum(dim=-1)


@outside_autocast
def normalized_mse(student_logits: Tensor, teacher_logits: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Squared distance between logits scaled to length 1, mean over valid rows (first version, classification).

        mean_n ‖ z_P/‖z_P‖₂ − z_F/‖z_F‖₂ ‖₂²

    Args:
        student_logits: (..., D) with gradient.
        teacher_logits: same shape; detached here.
        mask: (...), boolean, True where the row counts.

    Returns:
        Scalar between 0 and 4; 0 when no row is valid.

    Raises:
        ValueError: on shapes that differ or a mask that does not fit.

    Source: arXiv 2408.04556v1. Differs from the authors' code of that time in: the squared norm of the formula, where
    the code takes the mean over the D entries (a factor D); rows shorter than 1e-12 (2^-13 where the logits are
    float16, which could not hold their gradient) are divided by that.
    """
    student, teacher = paired_rows(student_logits, teacher_logits, mask)
    return mean_over(normalized_error_rows(student, teacher, shortest_row(student_logits.dtype)))
