"""Rows, masks and means: dropped means dropped, nothing is broadcast, nothing divides by zero."""

from __future__ import annotations

import pytest
import torch

from balora.losses.reduction import mean_over, paired_rows, valid_rows


def test_masked_rows_are_dropped_even_when_they_hold_nan() -> None:
    logits = torch.tensor([[[1.0, 2.0], [float("nan"), 1.0]], [[3.0, 4.0], [float("inf"), 0.0]]])
    mask = torch.tensor([[True, False], [True, False]])
    assert valid_rows(logits, mask).tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_low_precision_becomes_float32_and_float64_stays(dtype: torch.dtype) -> None:
    assert valid_rows(torch.ones(2, 3, dtype=dtype)).dtype == torch.float32
    assert valid_rows(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("mask", "message"),
    [(torch.ones(2, 3), "dtype torch.float32"), (torch.ones(3, dtype=torch.bool), r"shape \(3,\)")],
)
def test_a_mask_that_does_not_fit_is_named(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        valid_rows(torch.ones(2, 3, 4), mask)


def test_a_vector_is_no_batch() -> None:
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        valid_rows(torch.ones(4))


def test_student_and_teacher_are_never_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and teacher logits \(1, 3\)"):
        paired_rows(torch.ones(2, 3), torch.ones(1, 3), None)


def test_the_teacher_gets_no_gradient() -> None:
    teacher = torch.ones(2, 3, requires_grad=True)
    _, rows = paired_rows(torch.ones(2, 3), teacher, None)
    assert not rows.requires_grad


def test_no_rows_mean_zero_with_a_gradient() -> None:
    values = torch.ones(3, requires_grad=True)
    mean = mean_over(values[torch.zeros(3, dtype=torch.bool)])
    mean.backward()
    assert mean == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 0]


def test_means_of_parts_add_up_to_the_mean_of_the_whole() -> None:
    values = torch.arange(5.0)
    assert mean_over(values[:2], 5) + mean_over(values[2:], 5) == mean_over(values)
