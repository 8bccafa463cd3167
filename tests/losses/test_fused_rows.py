"""The row-wise gradient, written by hand, equals autograd's through the plain formulas."""

from __future__ import annotations

import pytest
import torch

from balora.losses.consistency import kl_rows
from balora.losses.diversity import top_entropy_rows
from balora.losses.fused_rows import RowScales, RowTerms, rows_with_gradient


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [1, 3, 99])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradient_equals_autograd(temperature: float, top_k: int, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(6, 9, generator=generator, dtype=torch.float64) * 3
    teacher = torch.randn(6, 9, generator=generator, dtype=torch.float64) * 3
    labels = torch.tensor([0, 8, 3, -100, 2, 2])
    scales = RowScales(
        task=torch.tensor([0.5, 0.5, 0.5, 0.0, 0.5, 0.5], dtype=torch.float64),
        terms=torch.tensor([0.1, 0.0, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64),
    )
    leaf = student.clone().requires_grad_()
    safe = labels.clamp_min(0)
    errors = torch.nn.functional.cross_entropy(leaf, safe, reduction="none", label_smoothing=smoothing)
    task = (errors * scales.task).sum()
    consistency = (kl_rows(leaf, teacher, temperature) * scales.terms).sum()
    diversity = (top_entropy_rows(leaf, top_k) * scales.terms).sum()
    expected = torch.autograd.grad(task + 0.3 * consistency + 0.2 * diversity, leaf)[0]
    terms = RowTerms(torch.tensor(0.3), torch.tensor(0.2), temperature, top_k, smoothing)
    sums, gradient = rows_with_gradient(student.clone(), teacher.clone(), labels, scales, terms)
    torch.testing.assert_close(torch.stack([*sums]), torch.stack([task, consistency, diversity]).detach())
    torch.testing.assert_close(gradient, expected)
