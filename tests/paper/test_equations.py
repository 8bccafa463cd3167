"""One test per equation of the paper, written out from its text on small matrices."""

from __future__ import annotations

import math

import torch

from balora.adapters import AdapterConfig, adapters_off, attach_adapter, principal_factors
from balora.losses import (
    ClassificationObjective,
    GenerationObjective,
    ObjectiveSettings,
    consistency_kl,
    covariance_diversity,
    focused_entropy,
    spectral_concentration,
    spectral_share,
)
from tests.support import tiny

GENERATOR = torch.Generator().manual_seed(0)
STUDENT = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
TEACHER = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 3, 1, 2, 2])


def softmax(row: list[float]) -> list[float]:
    weights = [math.exp(value) for value in row]
    return [weight / sum(weights) for weight in weights]


def test_equations_1_and_2_principal_factors() -> None:
    w = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    u, s, vh = torch.linalg.svd(w, full_matrices=False)
    factors = principal_factors(w, rank=2)
    torch.testing.assert_close(factors.up @ factors.down, u[:, :2] @ torch.diag(s[:2]) @ vh[:2])
    torch.testing.assert_close(factors.up.T @ factors.up, torch.diag(s[:2]), rtol=0, atol=1e-5)
    torch.testing.assert_close(factors.down @ factors.down.T, torch.diag(s[:2]), rtol=0, atol=1e-5)


def test_equation_3_the_start_is_the_pretrained_model() -> None:
    """Y = X(W_res + AB) = XW at step 0, with W_res + AB kept as W − A₀B₀ + AB."""
    base = tiny.build("llama")
    ids = tiny.random_ids(2, 6)
    with torch.no_grad():
        before = base(input_ids=ids).logits
        model = attach_adapter(base, AdapterConfig(r=4)).eval()
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=0, atol=1e-5)
        with adapters_off(model):
            assert torch.equal(model(input_ids=ids).logits, before)


def test_equation_4_and_9_consistency() -> None:
    total = 0.0
    for teacher, student in zip((TEACHER / 2).tolist(), (STUDENT / 2).tolist(), strict=True):
        p, q = softmax(teacher), softmax(student)
        total += 4 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    torch.testing.assert_close(consistency_kl(STUDENT, TEACHER, temperature=2.0).item(), total / 5)


def test_equations_5_and_6_diversity_of_classes() -> None:
    centered = STUDENT - STUDENT.mean(dim=0)
    c = centered.T @ centered / 4
    expected = sum(c[i, j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    torch.testing.assert_close(covariance_diversity(STUDENT), expected)


def test_equation_7_spectral_share() -> None:
    s = torch.linalg.svdvals(STUDENT)
    torch.testing.assert_close(spectral_share(STUDENT, k=2), -(s[0] + s[1]) / s.sum())


def test_equation_8_total_for_classification() -> None:
    weights = {"consistency": 0.15, "diversity": 0.03, "spectral": 0.03}
    report = ClassificationObjective(ObjectiveSettings(form="nlu"), classes=4)(
        STUDENT, TEACHER, LABELS, weights=weights
    )
    task = torch.nn.functional.cross_entropy(STUDENT, LABELS)
    expected = (
        task
        + 0.15 * consistency_kl(STUDENT, TEACHER, temperature=2.0)
        + 0.03 * covariance_diversity(STUDENT)
        + 0.03 * spectral_share(STUDENT, k=3)
    )
    torch.testing.assert_close(report.total, expected)


def test_equation_10_focused_entropy() -> None:
    total = 0.0
    for row in STUDENT.tolist():
        p = softmax(sorted(row, reverse=True)[:3])
        total += sum(value * math.log(value) for value in p)
    torch.testing.assert_close(focused_entropy(STUDENT, top_k=3).item(), total / 5)


def test_equation_11_spectral_concentration() -> None:
    s = torch.linalg.svdvals(STUDENT)
    expected = -(s[0] + s[1]) / STUDENT.square().sum().sqrt()
    torch.testing.assert_close(spectral_concentration(STUDENT, k=2), expected)


def test_equation_12_total_for_generation() -> None:
    weights = {"consistency": 0.025, "diversity": 0.005, "spectral": 0.005}
    settings = ObjectiveSettings(form="nlg", spectral_k=2, top_k=3)
    report = GenerationObjective(settings, shift=True)(STUDENT[None], TEACHER[None], LABELS[None], weights=weights)
    rows, teacher = STUDENT[:4], TEACHER[:4]
    expected = (
        torch.nn.functional.cross_entropy(rows, LABELS[1:])
        + 0.025 * consistency_kl(rows, teacher, temperature=2.0)
        + 0.005 * focused_entropy(rows, top_k=3)
        + 0.005 * spectral_concentration(rows, k=2)
    )
    torch.testing.assert_close(report.total, expected)
