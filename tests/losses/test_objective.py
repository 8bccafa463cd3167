"""The objective: sum of weighted terms, exact under accumulation where that is possible, safe on empty batches."""

from __future__ import annotations

import pytest
import torch

from balora.losses import (
    BatchPart,
    ClassificationObjective,
    GenerationObjective,
    ObjectiveSettings,
    RegressionObjective,
    consistency_kl,
    covariance_diversity,
    focused_entropy,
    spectral_concentration,
    spectral_share,
    spectral_share_and_variance,
)
from balora.losses.objective import classification_spectral_k, next_token_labels
from balora.losses.reference import cross_entropy

ALL_ON = {"consistency": 0.3, "diversity": 0.2, "spectral": 0.1}
NLG = ObjectiveSettings(form="nlg", spectral_k=2, top_k=3)
NLU = ObjectiveSettings(form="nlu")


def sequence_batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(3, 6, 11, generator=generator, dtype=torch.float64)
    teacher = torch.randn(3, 6, 11, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 11, (3, 6), generator=generator)
    labels[:, :2] = -100
    labels[1, 4:] = -100
    return student, teacher, labels


def class_batch(rows: int = 8, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    teacher = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(0, classes, (rows,), generator=generator)


def test_generation_total_is_task_plus_weighted_terms_of_shifted_tokens() -> None:
    student, teacher, labels = sequence_batch()
    report = GenerationObjective(NLG, shift=True)(student, teacher, labels, weights=ALL_ON)
    rows, teacher_rows, targets = student[:, :-1], teacher[:, :-1], labels[:, 1:]
    mask = targets != -100
    torch.testing.assert_close(report.task, cross_entropy(rows, targets))
    torch.testing.assert_close(report.consistency, consistency_kl(rows, teacher_rows, temperature=2.0, mask=mask))
    torch.testing.assert_close(report.diversity, focused_entropy(rows, top_k=3, mask=mask))
    torch.testing.assert_close(report.spectral, spectral_concentration(rows, k=2, mask=mask))
    assert report.valid_tokens == int(mask.sum())
    expected = report.task + 0.3 * report.consistency + 0.2 * report.diversity + 0.1 * report.spectral
    torch.testing.assert_close(report.total, expected)


def test_encoder_decoder_labels_are_aligned_already() -> None:
    student, teacher, labels = sequence_batch()
    report = GenerationObjective(NLG, shift=False)(student, teacher, labels, weights=ALL_ON)
    torch.testing.assert_close(report.task, cross_entropy(student, labels))


@pytest.mark.parametrize("tokens", ["response", "response_unshifted", "all"])
def test_the_terms_see_the_tokens_they_are_told_to(tokens: str) -> None:
    student, teacher, labels = sequence_batch()
    attention = torch.ones_like(labels)
    attention[1, 4:] = 0
    settings = ObjectiveSettings(form="nlg", regularized_tokens=tokens)  # type: ignore[arg-type]
    report = GenerationObjective(settings, shift=True)(
        student, teacher, labels, weights=ALL_ON, attention_mask=attention
    )
    masks = {
        "response": next_token_labels(labels) != -100,
        "response_unshifted": labels != -100,
        "all": attention.bool(),
    }
    expected = consistency_kl(student, teacher, temperature=2.0, mask=masks[tokens])
    torch.testing.assert_close(report.consistency, expected)
    torch.testing.assert_close(report.task, cross_entropy(student, next_token_labels(labels)))


def test_classification_total_is_task_plus_weighted_terms() -> None:
    student, teacher, labels = class_batch()
    report = ClassificationObjective(NLU, classes=3)(student, teacher, labels, weights=ALL_ON)
    torch.testing.assert_close(report.task, cross_entropy(student, labels))
    torch.testing.assert_close(report.consistency, consistency_kl(student, teacher, temperature=2.0))
    torch.testing.assert_close(report.diversity, covariance_diversity(student))
    torch.testing.assert_close(report.spectral, spectral_share(student, k=2))


def test_the_first_version_uses_its_own_terms() -> None:
    student, teacher, labels = class_batch()
    old = ObjectiveSettings(form="nlu", formulation="2024")
    report = ClassificationObjective(old, classes=3)(student, teacher, labels, weights=ALL_ON)
    distance = student / student.norm(dim=1, keepdim=True) - teacher / teacher.norm(dim=1, keepdim=True)
    torch.testing.assert_close(report.consistency, distance.square().sum(1).mean())
    student, teacher, labels = sequence_batch()
    old = ObjectiveSettings(form="nlg", formulation="2024")
    report = GenerationObjective(old, shift=True)(student, teacher, labels, weights=ALL_ON)
    mask = next_token_labels(labels) != -100
    torch.testing.assert_close(report.diversity, focused_entropy(student, top_k=11, mask=mask))
    expected = spectral_share_and_variance(student, k=0.3, variance_weight=1e-4, mask=mask)
    torch.testing.assert_close(report.spectral, expected)


def test_regression_pulls_towards_the_teacher_and_has_no_other_term() -> None:
    student, teacher = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [1.0]])
    report = RegressionObjective(NLU)(student, teacher, torch.tensor([1.0, 1.0]), weights=ALL_ON)
    assert report.task == 2.0
    assert report.consistency == 2.5
    assert (report.diversity, report.spectral) == (0, 0)
    assert report.total.item() == pytest.approx(2.0 + 0.3 * 2.5)


def test_without_weights_the_total_is_the_task_loss_and_no_teacher_is_needed() -> None:
    student, _, labels = sequence_batch()
    report = GenerationObjective(NLG, shift=True)(student, None, labels, weights={})
    assert report.total is report.task
    with pytest.raises(ValueError, match="teacher"):
        GenerationObjective(NLG, shift=True)(student, None, labels, weights=ALL_ON)


@pytest.mark.parametrize("tokens", ["response", "all"])
def test_accumulated_token_means_equal_those_of_the_large_batch(tokens: str) -> None:
    student, teacher, labels = sequence_batch()
    weights = {"consistency": 0.3, "diversity": 0.2}
    settings = ObjectiveSettings(form="nlg", regularized_tokens=tokens)  # type: ignore[arg-type]
    objective = GenerationObjective(settings, shift=True)
    attention = torch.ones_like(labels)
    leaf = student.clone().requires_grad_()
    objective(leaf, teacher, labels, weights=weights, attention_mask=attention).total.backward()
    parts = student.clone().requires_grad_()
    items = int((next_token_labels(labels) != -100).sum())
    term_items = int(objective.regularized_mask(labels, attention).sum())
    for row in range(3):
        part = BatchPart(items=items, term_items=term_items, parts=3)
        objective(
            parts[row : row + 1],
            teacher[row : row + 1],
            labels[row : row + 1],
            weights=weights,
            part=part,
            attention_mask=attention[row : row + 1],
        ).total.backward()
    torch.testing.assert_close(parts.grad, leaf.grad)


def test_batch_wise_terms_are_averaged_over_micro_batches() -> None:
    student, teacher, labels = class_batch(rows=8)
    objective = ClassificationObjective(NLU, classes=3)
    part = BatchPart(items=8, parts=2)
    halves = [
        objective(student[rows], teacher[rows], labels[rows], weights={"spectral": 1.0, "diversity": 1.0}, part=part)
        for rows in (slice(0, 4), slice(4, 8))
    ]
    mean = (spectral_share(student[:4], k=2) + spectral_share(student[4:], k=2)) / 2
    torch.testing.assert_close(halves[0].spectral + halves[1].spectral, mean)
    mean = (covariance_diversity(student[:4]) + covariance_diversity(student[4:])) / 2
    torch.testing.assert_close(halves[0].diversity + halves[1].diversity, mean)
    student, teacher, labels = sequence_batch()
    generation = GenerationObjective(NLG, shift=True)
    whole = generation(student, teacher, labels, weights=ALL_ON).spectral
    half = generation(student, teacher, labels, weights=ALL_ON, part=BatchPart(parts=2)).spectral
    torch.testing.assert_close(half, whole / 2)


@pytest.mark.parametrize("kind", ["generation", "classification"])
def test_an_all_masked_batch_gives_zero_and_a_zero_gradient(kind: str) -> None:
    if kind == "generation":
        student, teacher, labels = sequence_batch()
        objective: object = GenerationObjective(NLG, shift=True)
    else:
        student, teacher, labels = class_batch()
        objective = ClassificationObjective(NLU, classes=3)
    leaf = student.requires_grad_()
    report = objective(leaf, teacher, torch.full_like(labels, -100), weights=ALL_ON)  # type: ignore[operator]
    report.total.backward()
    assert report.total == 0
    assert leaf.grad is not None
    assert not leaf.grad.any()


def test_teacher_confidence_scales_the_weight_that_is_applied() -> None:
    student, _, labels = class_batch()
    settings = ObjectiveSettings(form="nlu", consistency_schedule="teacher_confidence")
    clueless = torch.zeros_like(student)
    report = ClassificationObjective(settings, classes=3)(student, clueless, labels, weights={"consistency": 1.0})
    assert float(report.weights["consistency"]) == pytest.approx(0.1)
    torch.testing.assert_close(report.total, report.task + 0.1 * report.consistency)


@pytest.mark.parametrize(("classes", "expected"), [(1, 1), (2, 1), (3, 2), (6, 5), (100, 5)])
def test_default_k_stays_below_the_number_of_classes(classes: int, expected: int) -> None:
    assert classification_spectral_k(NLU, classes) == expected
    assert classification_spectral_k(ObjectiveSettings(form="nlu", spectral_k=7), classes) == 7
