"""The penalty on weights: value and gradient of the slow twin, and nothing that cancels."""

from __future__ import annotations

import pytest
import torch

from balora.losses import reference, update_norm_squared


def factors(dtype: torch.dtype, *, anchored: bool, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(7, 3), (3, 5)]
    starts = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    moved = [start + 0.1 * torch.randn(start.shape, generator=generator, dtype=torch.float64) for start in starts]
    return [value.to(dtype) for value in (moved + starts if anchored else moved)]


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_value_and_gradient_are_those_of_the_slow_twin(dtype: torch.dtype, tolerance: float, anchored: bool) -> None:
    found = []
    for function in (update_norm_squared, reference.update_norm_squared):
        up, down, *starts = factors(dtype, anchored=anchored)
        up.requires_grad_()
        down.requires_grad_()
        value = function(up, down, *starts, scaling=1.7)
        value.backward()
        found.append((value.detach().double(), up.grad, down.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_it_is_the_matrix_norm() -> None:
    up, down, up_start, down_start = factors(torch.float64, anchored=True)
    change = 0.5 * (up @ down - up_start @ down_start)
    norm = torch.linalg.matrix_norm(change) ** 2
    torch.testing.assert_close(update_norm_squared(up, down, up_start, down_start, scaling=0.5), norm)


def test_at_the_start_it_is_exactly_zero_and_has_no_gradient() -> None:
    _, _, up_start, down_start = factors(torch.float32, anchored=True)
    up, down = (1e3 * up_start).requires_grad_(), (1e3 * down_start).requires_grad_()
    value = update_norm_squared(up, down, 1e3 * up_start, 1e3 * down_start)
    value.backward()
    assert value == 0
    assert not up.grad.any()
    assert not down.grad.any()


def test_half_precision_factors_are_worked_in_float32() -> None:
    up, down = factors(torch.bfloat16, anchored=False)
    assert update_norm_squared(up, down).dtype == torch.float32
