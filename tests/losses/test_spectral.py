"""Properties of the spectral terms (equations 7 and 11)."""

from __future__ import annotations

import math

import pytest
import torch

from balora.losses import (
    spectral_concentration,
    spectral_share,
    spectral_share_and_variance,
    spectral_share_is_constant,
)
from balora.losses.spectral import Center, resolve_spectral_k, top_singular_values


def with_spectrum(values: list[float], rows: int = 6, columns: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(rows, rows, generator=generator, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64))[0]
    core = torch.zeros(rows, columns, dtype=torch.float64)
    core[range(len(values)), range(len(values))] = torch.tensor(values, dtype=torch.float64)
    return left @ core @ right


def test_singular_values_are_recovered_from_either_side() -> None:
    z = with_spectrum([5.0, 3.0, 1.0])
    expected = torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(top_singular_values(z, 3), expected)
    torch.testing.assert_close(top_singular_values(z.T, 3), expected)


def test_blocks_of_a_wide_matrix_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    z = with_spectrum([5.0, 3.0, 1.0])
    whole = top_singular_values(z, 3)
    monkeypatch.setattr("balora.losses.spectral._GRAM_BLOCK_ELEMENTS", 12)
    torch.testing.assert_close(top_singular_values(z, 3), whole)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_terms_ignore_the_scale(scale: float) -> None:
    z = with_spectrum([5.0, 3.0, 1.0, 0.5])
    torch.testing.assert_close(spectral_share(z * scale, k=2), spectral_share(z, k=2))
    torch.testing.assert_close(spectral_concentration(z * scale, k=2), spectral_concentration(z, k=2))


@pytest.mark.parametrize(("rows", "classes", "k"), [(16, 2, 5), (16, 3, 5), (16, 3, 3), (2, 9, 2), (1, 4, 1)])
def test_share_is_constant_once_k_reaches_the_smaller_side(rows: int, classes: int, k: int) -> None:
    z = torch.randn(rows, classes, requires_grad=True)
    value = spectral_share(z, k=k)
    value.backward()
    assert spectral_share_is_constant(k, rows, classes)
    assert value == -1
    assert z.grad is not None
    assert not z.grad.any()


def test_share_is_constant_for_a_zero_matrix_too() -> None:
    assert spectral_share(torch.zeros(3, 2), k=2) == -1


def test_share_with_k_below_the_classes_has_a_gradient() -> None:
    z = torch.randn(16, 2, requires_grad=True)
    spectral_share(z, k=1).backward()
    assert z.grad is not None
    assert z.grad.abs().max() > 1e-3


def test_concentration_lies_between_minus_root_k_and_minus_one_for_rank_k() -> None:
    assert spectral_concentration(with_spectrum([7.0]), k=3).item() == pytest.approx(-1.0)
    assert spectral_concentration(with_spectrum([2.0, 2.0, 2.0]), k=3).item() == pytest.approx(-math.sqrt(3))
    value = spectral_concentration(with_spectrum([5.0, 3.0, 1.0, 0.5]), k=3).item()
    assert -math.sqrt(3) < value < 0


def test_a_step_down_the_gradient_concentrates_the_spectrum() -> None:
    z = with_spectrum([5.0, 3.0, 1.0, 0.9]).requires_grad_()
    before = spectral_share(z, k=2)
    before.backward()
    assert z.grad is not None
    assert spectral_share((z - 0.5 * z.grad).detach(), k=2) < before


@pytest.mark.parametrize("term", [spectral_share, spectral_concentration])
@pytest.mark.parametrize("shape", [(0, 4), (3, 4)], ids=["no row", "zero matrix"])
def test_nothing_gives_zero_and_a_finite_gradient(term: object, shape: tuple[int, int]) -> None:
    z = torch.zeros(shape, requires_grad=True)
    value = term(z, k=2)  # type: ignore[operator]
    value.backward()
    assert value == 0
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_equal_singular_values_give_a_finite_gradient() -> None:
    z = torch.eye(4, requires_grad=True)
    spectral_concentration(z, k=2).backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_centring_removes_what_rows_share() -> None:
    z = with_spectrum([5.0, 3.0, 1.0])
    row, column = torch.randn(1, 9, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
    torch.testing.assert_close(
        spectral_concentration(z + 100 * row, k=2, center="batch"), spectral_concentration(z, k=2, center="batch")
    )
    torch.testing.assert_close(
        spectral_concentration(z + 100 * row + 100 * column, k=2, center="batch_and_class"),
        spectral_concentration(z, k=2, center="batch_and_class"),
    )


def test_variance_term_of_the_first_version() -> None:
    z = with_spectrum([4.0, 2.0, 1.0])
    share = spectral_share(z, k=2)
    torch.testing.assert_close(spectral_share_and_variance(z, k=2, variance_weight=0.5), share - 0.5 * 1.0)


@pytest.mark.parametrize(
    ("k", "rows", "columns", "expected"), [(10, 4, 3, 3), (2, 4, 3, 2), (0.3, 10, 99, 3), (0.01, 10, 99, 1)]
)
def test_k_is_a_count_or_a_share(k: float, rows: int, columns: int, expected: int) -> None:
    assert resolve_spectral_k(k, rows, columns) == expected


def test_masked_equals_dropped() -> None:
    z, mask = torch.randn(5, 6), torch.tensor([True, False, True, True, True])
    assert spectral_share(z, k=2, mask=mask) == spectral_share(z[mask], k=2)
    assert spectral_concentration(z, k=2, mask=mask) == spectral_concentration(z[mask], k=2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_worked_in_float32(dtype: torch.dtype) -> None:
    z = with_spectrum([5.0, 3.0, 1.0, 0.5]).to(dtype)
    truth = spectral_concentration(z.double(), k=2)
    assert abs(spectral_concentration(z, k=2) - truth) < 1e-6


@pytest.mark.parametrize("center", ["none", "batch", "batch_and_class"])
@pytest.mark.parametrize(("rows", "classes"), [(8, 2), (8, 3), (8, 5), (3, 6), (2, 4), (1, 4)])
def test_the_term_is_called_constant_exactly_where_it_has_no_gradient(rows: int, classes: int, center: Center) -> None:
    torch.manual_seed(rows * classes)
    logits = torch.randn(rows, classes, dtype=torch.float64, requires_grad=True)
    for k in range(1, min(rows, classes) + 1):
        (gradient,) = torch.autograd.grad(spectral_share(logits, k=k, center=center), logits)
        assert spectral_share_is_constant(k, rows, classes, center) == bool(gradient.abs().max() < 1e-9)
