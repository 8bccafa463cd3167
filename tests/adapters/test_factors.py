"""PiSSA's factors: the principal part, for every scaling, exact and randomised."""

from __future__ import annotations

import pytest
import torch

from balora.adapters.factors import layer_seed, principal_factors, randomized_svd


def weight(rows: int = 24, columns: int = 40, decay: float = 0.7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    left = torch.linalg.qr(torch.randn(rows, rows, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(columns, rows, generator=generator))[0]
    return left @ torch.diag(decay ** torch.arange(rows)) @ right.T


@pytest.mark.parametrize("scaling", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("svd", ["exact", "randomized"])
def test_factors_times_scaling_are_the_best_rank_r_approximation(scaling: float, svd: str) -> None:
    w = weight()
    factors = principal_factors(w, 5, scaling=scaling, svd=svd)  # type: ignore[arg-type]
    left, values, right = torch.linalg.svd(w)
    best = left[:, :5] @ torch.diag(values[:5]) @ right[:5]
    torch.testing.assert_close(scaling * factors.up @ factors.down, best, rtol=0, atol=2e-6)


def test_both_factors_share_the_singular_values_evenly() -> None:
    factors = principal_factors(weight(), 5)
    torch.testing.assert_close(factors.down.norm(dim=1), factors.up.norm(dim=0))


def test_full_rank_leaves_no_residual() -> None:
    w = weight(6, 9)
    factors = principal_factors(w, 6)
    torch.testing.assert_close(factors.up @ factors.down, w, rtol=0, atol=1e-6)


def test_rank_above_the_smaller_side_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rank 7 exceeds .* \(6, 9\)"):
        principal_factors(weight(6, 9), 7)


def test_the_randomised_svd_has_its_own_generator() -> None:
    w = torch.randn(60, 50)
    torch.manual_seed(1)
    first = randomized_svd(w, 4, iterations=0, seed=5)[1]
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = randomized_svd(w, 4, iterations=0, seed=5)[1]
    assert torch.equal(first, again)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first, randomized_svd(w, 4, iterations=0, seed=6)[1])


def test_power_iterations_close_in_on_the_exact_values() -> None:
    w = torch.randn(200, 150, generator=torch.Generator().manual_seed(0))
    exact = torch.linalg.svdvals(w)[:10]
    errors = [(randomized_svd(w, 10, iterations=n, seed=0)[1] - exact).abs().max().item() for n in (0, 2, 8, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_layers_draw_from_their_own_seeds() -> None:
    assert layer_seed(0, "a.q_proj") == layer_seed(0, "a.q_proj")
    assert len({layer_seed(0, "a.q_proj"), layer_seed(0, "b.q_proj"), layer_seed(1, "a.q_proj")}) == 3


def test_directions_without_weight_start_as_loras_do() -> None:
    """Otherwise A0 = B0 = 0, both gradients are 0 and the direction never trains."""
    for weight in (torch.zeros(6, 8), torch.outer(torch.arange(1.0, 7), torch.arange(1.0, 9))):
        factors = principal_factors(weight, 3, seed=1)
        torch.testing.assert_close(factors.up @ factors.down, weight)
        assert (factors.down.norm(dim=1) > 0.1).all()
        assert torch.equal(factors.down, principal_factors(weight, 3, seed=1).down)


def test_signs_do_not_depend_on_the_library() -> None:
    weight = torch.randn(6, 8)
    flipped = principal_factors(-weight, 3)
    factors = principal_factors(weight, 3)
    torch.testing.assert_close(flipped.down, factors.down)
    torch.testing.assert_close(flipped.up, -factors.up)
    assert (factors.down.gather(1, factors.down.abs().argmax(dim=1, keepdim=True)) > 0).all()
