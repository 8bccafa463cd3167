"""The spectral term from hidden states equals the one from explicit logits, in value and gradient."""

from __future__ import annotations

import pytest
import torch

from balora.losses import HeadGram, SpectralMemory, gram, spectral_concentration
from balora.losses.gram import leading_vectors, spectral_concentration_of_hidden


def problem(
    rows: int, width: int, vocabulary: int, *, decay: float = 0.9, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states whose spectrum decays slowly, a head and a bias."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    left, _, right = torch.linalg.svd(hidden, full_matrices=False)
    hidden = (left * decay ** torch.arange(left.shape[1], dtype=torch.float64)) @ right * 10
    head = torch.randn(vocabulary, width, generator=generator, dtype=torch.float64)
    return hidden.to(dtype), head.to(dtype), torch.randn(vocabulary, generator=generator, dtype=torch.float64).to(dtype)


def value_and_gradient(function: object, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = hidden.clone().requires_grad_()
    value = function(leaf)  # type: ignore[operator]
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("center", ["none", "batch", "batch_and_class"])
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize(("rows", "width", "vocabulary"), [(7, 12, 40), (60, 12, 40), (30, 20, 9)])
def test_dense_solver_equals_explicit_logits(rows: int, width: int, vocabulary: int, bias: bool, center: str) -> None:
    hidden, head, head_bias = problem(rows, width, vocabulary)
    used = head_bias if bias else None
    fast = value_and_gradient(
        lambda h: spectral_concentration_of_hidden(h, HeadGram.of(head, used), k=3, center=center),  # type: ignore[arg-type]
        hidden,
    )
    slow = value_and_gradient(
        lambda h: spectral_concentration(h @ head.T + (head_bias if bias else 0), k=3, center=center),  # type: ignore[arg-type]
        hidden,
    )
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-6, atol=1e-9)


def test_one_row_is_a_matrix_of_rank_one() -> None:
    hidden, head, _ = problem(1, 8, 5)
    assert spectral_concentration_of_hidden(hidden, HeadGram.of(head), k=3).item() == pytest.approx(-1.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_subspace_iteration_matches_a_dense_svd_on_slow_decay(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """σ_k/σ_{k+1} = 1.03, the spectrum that the issue names."""
    monkeypatch.setattr(gram, "DENSE_SIDE", 0)
    hidden, head, _ = problem(300, 120, 500, decay=1 / 1.03, dtype=dtype)
    head = torch.linalg.qr(head.double()).Q.to(dtype)
    fast = value_and_gradient(lambda h: spectral_concentration_of_hidden(h, HeadGram.of(head), k=10), hidden)

    def dense(h: torch.Tensor) -> torch.Tensor:
        values = torch.linalg.svdvals(h @ head.double().T)
        return -values[:10].sum() / values.norm()

    slow = value_and_gradient(dense, hidden.double())
    assert abs(fast[0] - slow[0]) < 1e-6
    assert (fast[1] - slow[1]).norm() / slow[1].norm() < 1e-4


def test_a_warm_start_needs_fewer_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "DENSE_SIDE", 0)
    memory = SpectralMemory()
    hidden, head, _ = problem(300, 120, 500, decay=0.97)
    head_gram = HeadGram.of(head)
    spectral_concentration_of_hidden(hidden, head_gram, k=10, memory=memory)
    moved = hidden[torch.randperm(300)[:250]] + 0.01 * torch.randn(250, 120, dtype=torch.float64)
    expected = spectral_concentration(moved @ head.T, k=10)
    monkeypatch.setattr(gram, "COLD_ITERATIONS", 2)
    cold = spectral_concentration_of_hidden(moved, head_gram, k=10)
    monkeypatch.setattr(gram, "WARM_ITERATIONS", 2)
    warm = spectral_concentration_of_hidden(moved, head_gram, k=10, memory=memory)
    assert abs(warm - expected) < abs(cold - expected) / 10
    assert abs(warm - expected) < 1e-6


def test_another_rank_starts_cold_again() -> None:
    memory = SpectralMemory(directions=torch.zeros(3, 2))
    rows = torch.randn(500, 400, dtype=torch.float64)
    vectors = leading_vectors(rows, torch.eye(400, dtype=torch.float64), 4, memory)
    assert vectors.shape == (500, 4)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(4, dtype=torch.float64))


def test_no_random_state_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "DENSE_SIDE", 0)
    hidden, head, _ = problem(50, 40, 60)
    before = torch.get_rng_state()
    spectral_concentration_of_hidden(hidden, HeadGram.of(head), k=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gram_matrix_is_summed_in_float32_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_BLOCK_ROWS", 7)
    head = torch.randn(50, 6).bfloat16()
    found = HeadGram.of(head)
    assert found.gram.dtype == torch.float32
    torch.testing.assert_close(found.gram, head.float().T @ head.float())
    torch.testing.assert_close(found.mean_row, head.float().mean(dim=0))


@pytest.mark.parametrize("shape", [(0, 6), (4, 6)], ids=["no row", "zero rows"])
def test_nothing_gives_zero_and_a_finite_gradient(shape: tuple[int, int]) -> None:
    hidden = torch.zeros(shape, requires_grad=True)
    value = spectral_concentration_of_hidden(hidden, HeadGram.of(torch.randn(9, 6)), k=3)
    value.backward()
    assert torch.isfinite(value)
    assert hidden.grad is not None
    assert torch.isfinite(hidden.grad).all()
