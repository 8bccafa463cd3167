"""The spectral term of soft-capped logits, block by block, equals the dense one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from balora.losses import capped, gram, reference
from balora.losses.capped import spectral_concentration_of_capped
from balora.losses.fused_rows import AfterHead


def problem(rows: int = 40, width: int = 8, vocabulary: int = 90) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    decay = 0.8 ** torch.arange(width, dtype=torch.float64)
    return normal(rows, width) * decay, normal(vocabulary, width), normal(vocabulary)


def dense(hidden: torch.Tensor, head: torch.Tensor, bias: torch.Tensor, k: int, center: str) -> torch.Tensor:
    logits = 3.0 * torch.tanh(0.5 * (hidden @ head.T + bias) / 3.0)
    return reference.spectral_concentration(logits, k=k, center=center)


@pytest.mark.parametrize("dense_side", [gram.DENSE_SIDE, 4])
@pytest.mark.parametrize("center", ["none", "batch", "batch_and_class"])
@pytest.mark.parametrize("columns", [1, 7, 1000])
def test_value_and_gradients_equal_a_dense_svd(
    columns: int, center: Any, dense_side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gram, "DENSE_SIDE", dense_side)
    found = []
    for way in ("blocks", "dense"):
        leaves = [value.clone().requires_grad_() for value in problem()]
        if way == "blocks":
            size = columns * capped.BYTES_PER_LOGIT * 40
            value = spectral_concentration_of_capped(
                *leaves[:2], AfterHead(leaves[2], 0.5, 3.0), k=3, center=center, block_bytes=size
            )
        else:
            value = dense(*leaves, k=3, center=center)
        (2 * value).backward()
        found.append([value.detach(), *(leaf.grad for leaf in leaves)])
    tolerance = 1e-9 if dense_side > 4 else 1e-4
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * 0.1)


def test_directions_without_length_have_no_gradient() -> None:
    """Two rows that are multiples of each other: one singular value, k = 2."""
    hidden = torch.tensor([[1.0, 2.0], [1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    head = torch.randn(5, 2, dtype=torch.float64)
    value = spectral_concentration_of_capped(hidden, head, AfterHead(soft_cap=3.0), k=2)
    assert value.item() == pytest.approx(-1.0)
    value.backward()
    assert hidden.grad is not None
    assert hidden.grad.norm() < 1e-6


def test_no_rows_give_zero() -> None:
    hidden = torch.zeros(0, 4, requires_grad=True)
    value = spectral_concentration_of_capped(hidden, torch.randn(5, 4), AfterHead(soft_cap=3.0), k=2)
    value.backward()
    assert value == 0


def test_float16_does_not_lose_derivatives_of_a_large_matrix() -> None:
    hidden, head, _ = (30 * value for value in problem(64, 8, 6000))
    low, weight = hidden.half().requires_grad_(), (head / 30).half().requires_grad_()
    value = spectral_concentration_of_capped(low, weight, AfterHead(soft_cap=50.0), k=3)
    by_states, by_head = torch.autograd.grad(65536.0 * value, [low, weight])
    wide, wide_weight = low.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    truth = spectral_concentration_of_capped(wide, wide_weight, AfterHead(soft_cap=50.0), k=3)
    expected = torch.autograd.grad(65536.0 * truth, [wide, wide_weight])
    assert (by_states.double() - expected[0]).norm() < 0.02 * expected[0].norm()
    assert (by_head.double() - expected[1]).norm() < 0.02 * expected[1].norm()
