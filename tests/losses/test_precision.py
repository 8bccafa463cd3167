"""Autocast around a term changes neither its value nor its gradient, and no gradient leaves the range of its type."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from balora.losses import normalized_mse, update_norm_squared
from balora.losses.precision import shortest_row
from tests.losses.test_numerics import TERMS


def _random(seed: int, rows: int = 32, columns: int = 7) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("name", [*TERMS, "update_norm_squared"])
def test_autocast_around_a_term_changes_nothing(name: str) -> None:
    results = []
    for enabled in (False, True):
        leaf = _random(0).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            if name == "update_norm_squared":
                value = update_norm_squared(up=leaf, down=_random(1).T)
            else:
                value = TERMS[name](leaf, _random(1), None)
        results.append((value.detach(), torch.autograd.grad(value, leaf)[0]))
    (plain, gradient), (cast, gradient_cast) = results
    assert cast.dtype == plain.dtype
    assert torch.equal(plain, cast)
    assert torch.equal(gradient, gradient_cast)


@pytest.mark.parametrize("scale", [0.0, 1e-7, 1e-5, 1e-4, 1e-3, 1.0])
def test_the_direction_of_tiny_rows_has_a_gradient_that_float16_holds(scale: float) -> None:
    leaf = (_random(0, 1) / 9 * scale).half().requires_grad_()
    value = normalized_mse(leaf, _random(1, 1).half())
    (gradient,) = torch.autograd.grad(value, leaf)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


def test_the_length_of_rows_that_have_one_does_not_matter() -> None:
    rows, teacher = _random(0), _random(1)
    torch.testing.assert_close(normalized_mse(rows * 1e-6, teacher), normalized_mse(rows, teacher))
    halves = (rows * shortest_row(torch.float16)).half()
    torch.testing.assert_close(
        normalized_mse(halves, teacher.half()), normalized_mse(halves.float(), teacher.half().float())
    )
