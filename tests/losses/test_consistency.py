"""Properties of the consistency terms (equations 4 and 9)."""

from __future__ import annotations

import pytest
import torch

from balora.losses import consistency_kl, consistency_mse, normalized_mse


def logits(seed: int, rows: int = 5, classes: int = 4) -> torch.Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kl_is_zero_exactly_where_student_and_teacher_agree() -> None:
    z = logits(0)
    assert consistency_kl(z, z, temperature=2.0) == 0
    assert consistency_kl(z + torch.randn(5, 1, dtype=torch.float64), z, temperature=2.0) < 1e-12
    assert consistency_kl(z, logits(1), temperature=2.0) > 1e-3


def test_kl_at_equality_has_zero_gradient() -> None:
    z = logits(0).requires_grad_()
    consistency_kl(z, z.detach().clone(), temperature=2.0).backward()
    assert z.grad is not None
    assert z.grad.abs().max() < 1e-12


def test_kl_runs_from_teacher_to_student() -> None:
    """Forward KL: a teacher sure of one class, a student that gives it almost no mass, cost about the logit gap."""
    sure, other = torch.tensor([[20.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert consistency_kl(other, sure, temperature=1.0).item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert consistency_kl(sure, other, temperature=1.0).item() == pytest.approx(10 - 0.6931, abs=1e-3)


def test_squared_temperature_keeps_the_size_of_the_gradient() -> None:
    """For large T the gradient tends to (z_F − z_P)/D, independent of T (Hinton et al. 2015, section 2.1)."""
    student, teacher = logits(0), logits(1)
    student, teacher = student - student.mean(-1, keepdim=True), teacher - teacher.mean(-1, keepdim=True)
    for temperature in (100.0, 1000.0):
        leaf = student.clone().requires_grad_()
        consistency_kl(leaf, teacher, temperature=temperature).backward()
        assert leaf.grad is not None
        torch.testing.assert_close(leaf.grad * 5, (student - teacher) / 4, rtol=0.05, atol=0.02)


def test_masked_equals_dropped() -> None:
    student, teacher = logits(0), logits(1)
    mask = torch.tensor([True, False, True, True, False])
    masked = consistency_kl(student, teacher, temperature=2.0, mask=mask)
    assert masked == consistency_kl(student[mask], teacher[mask], temperature=2.0)


@pytest.mark.parametrize("gap", [18.0, 90.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_kl_and_gradient_stay_finite_for_huge_gaps(gap: float, dtype: torch.dtype) -> None:
    student = torch.tensor([[gap, 0.0, -gap]], dtype=dtype, requires_grad=True)
    teacher = torch.tensor([[-gap, 0.0, gap]], dtype=dtype)
    value = consistency_kl(student, teacher, temperature=1.0)
    value.backward()
    assert value.item() == pytest.approx(2 * float(teacher[0, 2]), rel=1e-3)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature is 0"):
        consistency_kl(logits(0), logits(1), temperature=0.0)


def test_mse_is_the_squared_distance_of_the_outputs() -> None:
    assert consistency_mse(torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [1.0]])) == 2.0


def test_normalized_mse_sees_directions_only() -> None:
    z = logits(0)
    assert normalized_mse(z * 7, z) < 1e-12
    assert normalized_mse(-z, z).item() == pytest.approx(4.0)
