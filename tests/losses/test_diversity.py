"""Properties of the diversity terms (equations 5, 6 and 10)."""

from __future__ import annotations

import math

import pytest
import torch

from balora.losses import covariance_diversity, focused_entropy, full_entropy


def test_covariance_of_independent_columns_is_zero_and_of_equal_ones_is_not() -> None:
    independent = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance_diversity(independent) == 0
    same = independent[:, :1].expand(4, 2)
    assert covariance_diversity(same).item() == pytest.approx((4 / 3) ** 2)


def test_only_off_diagonal_entries_count() -> None:
    z = torch.randn(6, 3, dtype=torch.float64)
    covariance = torch.cov(z.T)
    off = covariance - torch.diag(covariance.diagonal())
    torch.testing.assert_close(covariance_diversity(z), off.square().sum() / 3)


def test_covariance_ignores_a_shift_of_every_row() -> None:
    z = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(covariance_diversity(z + torch.tensor([5.0, -2.0, 1.0])), covariance_diversity(z))


@pytest.mark.parametrize("shape", [(1, 3), (4, 1), (0, 3)], ids=["one row", "one class", "no row"])
def test_covariance_is_zero_with_zero_gradient_where_it_is_undefined(shape: tuple[int, int]) -> None:
    z = torch.randn(shape, requires_grad=True)
    value = covariance_diversity(z)
    value.backward()
    assert value == 0
    assert z.grad is not None
    assert not z.grad.any()


def test_entropy_lies_between_minus_log_k_and_zero() -> None:
    uniform = torch.zeros(3, 9)
    assert focused_entropy(uniform, top_k=5).item() == pytest.approx(-math.log(5))
    one_hot = torch.eye(9)[:3] * 1000
    assert focused_entropy(one_hot, top_k=5).item() == pytest.approx(0.0, abs=1e-6)


def test_minimising_the_term_raises_the_entropy() -> None:
    """The first version's formula had this sign wrong."""
    z = torch.tensor([[2.0, 1.0, 0.0, -5.0]], requires_grad=True)
    focused_entropy(z, top_k=3).backward()
    assert z.grad is not None
    stepped = (z - 0.5 * z.grad).detach()
    assert focused_entropy(stepped, top_k=3) < focused_entropy(z, top_k=3)
    assert z.grad[0, 0] > 0, "the most likely token must be pushed down"


def test_tokens_outside_the_top_k_do_not_matter_and_get_no_gradient() -> None:
    z = torch.tensor([[3.0, 2.0, 1.0, 0.0]], requires_grad=True)
    value = focused_entropy(z, top_k=2)
    value.backward()
    assert z.grad is not None
    assert z.grad[0, 2:].tolist() == [0.0, 0.0]
    changed = torch.tensor([[3.0, 2.0, -9.0, 1.5]])
    torch.testing.assert_close(focused_entropy(changed, top_k=2), value.detach())


def test_top_k_beyond_the_vocabulary_is_the_vocabulary() -> None:
    z = torch.randn(4, 6)
    assert focused_entropy(z, top_k=600) == full_entropy(z)


def test_top_k_must_be_at_least_one() -> None:
    with pytest.raises(ValueError, match="top_k is 0"):
        focused_entropy(torch.zeros(1, 2), top_k=0)


def test_masked_equals_dropped() -> None:
    z, mask = torch.randn(5, 6), torch.tensor([True, False, True, True, False])
    assert focused_entropy(z, top_k=3, mask=mask) == focused_entropy(z[mask], top_k=3)
    assert covariance_diversity(z, mask=mask) == covariance_diversity(z[mask])
