"""The objective without logits equals the explicit one, and never makes what it promises not to make."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.losses import (
    BatchPart,
    FusedOptions,
    GenerationObjective,
    LossReport,
    ObjectiveSettings,
    fused_generation_objective,
    gram,
)
from balora.losses.fused_pass import Gradients
from tests.support.largest import LargestTensor

ALL_ON = {"consistency": 0.3, "diversity": 0.2, "spectral": 0.1}
WHOLE = BatchPart()
SETTINGS = ObjectiveSettings(form="nlg", spectral_k=3, top_k=4)
PAPER: dict[str, Any] = {"temperature": 2.0, "top_k": 4, "spectral_k": 3}


def batch(
    rows: int = 20, width: int = 8, vocabulary: int = 50, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    teacher = student + 0.3 * torch.randn(rows, width, generator=generator, dtype=torch.float64)
    head = torch.randn(vocabulary, width, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, vocabulary, (rows,), generator=generator)
    labels[torch.rand(rows, generator=generator) < 0.3] = -100
    return student.to(dtype), teacher.to(dtype), head.to(dtype), labels


def explicit(
    student: torch.Tensor,
    teacher: torch.Tensor | None,
    head: torch.Tensor,
    labels: torch.Tensor,
    *,
    weights: dict[str, float],
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
    soft_cap: float | None = None,
    teacher_head: torch.Tensor | None = None,
    part: BatchPart = WHOLE,
    config: ObjectiveSettings = SETTINGS,
    label_smoothing: float = 0.0,
) -> LossReport:
    def logits(hidden: torch.Tensor, head: torch.Tensor = head) -> torch.Tensor:
        found = ((hidden @ head.T) + (0 if bias is None else bias))[None] * scale
        return found if soft_cap is None else soft_cap * torch.tanh(found / soft_cap)

    objective = GenerationObjective(config, shift=False, label_smoothing=label_smoothing)
    teacher_logits = None if teacher is None else logits(teacher, head if teacher_head is None else teacher_head)
    return objective(logits(student), teacher_logits, labels[None], weights=weights, part=part)


def with_gradient(function: Any, student: torch.Tensor) -> tuple[LossReport, torch.Tensor]:
    leaf = student.clone().requires_grad_()
    report = function(leaf)
    return report, torch.autograd.grad(report.total, leaf)[0]


def assert_same(one: LossReport, other: LossReport, tolerance: float) -> None:
    for name in ("total", "task", "consistency", "diversity", "spectral"):
        left, right = getattr(one, name), getattr(other, name)
        torch.testing.assert_close(left.double(), right.double(), rtol=tolerance, atol=tolerance, msg=name)
    assert one.valid_tokens == other.valid_tokens


@pytest.mark.parametrize("weights", [ALL_ON, {}, *({term: 0.5} for term in ALL_ON)], ids=str)
def test_value_and_gradient_equal_the_explicit_objective(weights: dict[str, float]) -> None:
    student, teacher, head, labels = batch()
    fast = with_gradient(
        lambda leaf: fused_generation_objective(leaf, teacher, head, labels, weights=weights, **PAPER), student
    )
    slow = with_gradient(lambda leaf: explicit(leaf, teacher, head, labels, weights=weights), student)
    assert_same(fast[0], slow[0], 1e-8)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-8, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 12),
    vocabulary=st.integers(2, 40),
    chunk=st.sampled_from([1, 24 * 40 * 64, 1 << 29]),
    seed=st.integers(0, 1000),
)
def test_any_shape_and_chunking_give_the_same(rows: int, vocabulary: int, chunk: int, seed: int) -> None:
    student, teacher, head, labels = batch(rows, 5, vocabulary, seed=seed)
    weights = {"consistency": 0.3, "diversity": 0.2}
    options = FusedOptions(chunk_bytes=chunk)
    fast = with_gradient(
        lambda leaf: fused_generation_objective(leaf, teacher, head, labels, weights=weights, options=options, **PAPER),
        student,
    )
    slow = with_gradient(lambda leaf: explicit(leaf, teacher, head, labels, weights=weights), student)
    assert_same(fast[0], slow[0], 1e-8)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-8, atol=1e-10)


def test_bias_scale_and_accumulation(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher, head, labels = batch()
    bias = torch.randn(50, dtype=torch.float64)
    part = BatchPart(items=37, parts=3)
    options = FusedOptions(head_bias=bias, logit_scale=0.25)
    fast = with_gradient(
        lambda leaf: fused_generation_objective(
            leaf, teacher, head, labels, weights=ALL_ON, part=part, options=options, **PAPER
        ),
        student,
    )
    slow = with_gradient(
        lambda leaf: explicit(leaf, teacher, head, labels, weights=ALL_ON, bias=bias, scale=0.25, part=part), student
    )
    assert_same(fast[0], slow[0], 1e-8)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-8, atol=1e-10)


CENTRED = {way: SETTINGS.model_copy(update={"center": way}) for way in ("batch", "batch_and_class")}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "soft-capped": {"soft_cap": 5.0},
    "soft-capped and scaled": {"soft_cap": 5.0, "scale": 0.4},
    "smoothed": {"label_smoothing": 0.2},
    "centred": {"config": SETTINGS.model_copy(update={"center": "batch"})},
    "soft-capped, centred": {"soft_cap": 5.0, "config": SETTINGS.model_copy(update={"center": "batch"})},
    "soft-capped, centred twice": {
        "soft_cap": 5.0,
        "config": SETTINGS.model_copy(update={"center": "batch_and_class"}),
    },
    "centred twice": {"config": SETTINGS.model_copy(update={"center": "batch_and_class"})},
    "accumulated": {"part": BatchPart(items=37, parts=3)},
}


@pytest.mark.parametrize("trained", [False, True], ids=["frozen head", "trained head"])
@pytest.mark.parametrize("case", CASES)
def test_any_head_gets_the_gradients_of_explicit_logits(
    case: str, trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States, head weight and head bias, in several chunks and blocks; the teacher keeps the head of the start."""
    monkeypatch.setattr("balora.losses.fused_pass.ROW_MULTIPLE", 1)
    student, teacher, head, labels = batch()
    bias = torch.randn(50, dtype=torch.float64)
    start = (head + 0.1, bias) if trained else None
    given = {"scale": 1.0, "soft_cap": None, "label_smoothing": 0.0, "config": SETTINGS, "part": WHOLE, **CASES[case]}

    def fast(states: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor) -> LossReport:
        options = FusedOptions(
            head_bias=shift,
            logit_scale=given["scale"],
            soft_cap=given["soft_cap"],
            teacher_head=start,
            center=given["config"].center,
            label_smoothing=given["label_smoothing"],
            chunk_bytes=24 * 50 * 6,
        )
        return fused_generation_objective(
            states, teacher, weight, labels, weights=ALL_ON, part=given["part"], options=options, **PAPER
        )

    def slow(states: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor) -> LossReport:
        teacher_head = head + 0.1 if trained else None
        return explicit(states, teacher, weight, labels, weights=ALL_ON, bias=shift, teacher_head=teacher_head, **given)

    found = []
    for objective in (fast, slow):
        leaves = [student.clone().requires_grad_(), *(value.clone().requires_grad_(trained) for value in (head, bias))]
        report = objective(*leaves)
        report.total.backward()
        found.append((report, [leaf.grad for leaf in leaves if leaf.requires_grad]))
    assert_same(found[0][0], found[1][0], 1e-8)
    assert len(found[0][1]) == (3 if trained else 1)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_evaluation_of_a_trained_head_collects_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher, head, labels = batch()
    head.requires_grad_()
    collected = []
    monkeypatch.setattr(Gradients, "add", lambda kept, *_: collected.append((kept.hidden, kept.weight, kept.bias)))
    with torch.no_grad():
        report = fused_generation_objective(student, teacher, head, labels, weights={}, **PAPER)
    assert collected == [(None, None, None)]
    assert not report.total.requires_grad
    torch.testing.assert_close(report.task, explicit(student, teacher, head, labels, weights={}).task.detach())


def test_a_factor_on_the_total_reaches_the_gradient() -> None:
    """Gradient scaling under float16, or a loss that is divided by the number of processes."""
    student, teacher, head, labels = batch()
    leaf = student.clone().requires_grad_()
    report = fused_generation_objective(leaf, teacher, head, labels, weights=ALL_ON, **PAPER)
    (tripled,) = torch.autograd.grad(3 * report.total, leaf)
    _, single = with_gradient(
        lambda again: fused_generation_objective(again, teacher, head, labels, weights=ALL_ON, **PAPER), student
    )
    torch.testing.assert_close(tripled, 3 * single)


def test_terms_can_see_other_rows_than_the_task() -> None:
    student, teacher, head, labels = batch()
    seen = torch.rand(20) < 0.5
    weights = {"consistency": 0.3, "diversity": 0.2, "spectral": 0.1}
    options = FusedOptions(term_mask=seen)
    fast = fused_generation_objective(student, teacher, head, labels, weights=weights, options=options, **PAPER)
    shown = torch.where(seen, 0, -100)
    slow = explicit(student, teacher, head, shown, weights=weights)
    task = explicit(student, teacher, head, labels, weights={}).task
    torch.testing.assert_close(fast.task, task)
    for term in ("consistency", "diversity", "spectral"):
        torch.testing.assert_close(fast.term(term), slow.term(term), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("leaf", ["states", "head"])
@pytest.mark.parametrize("soft_cap", [None, 5.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_no_worse_than_explicit_low_precision(
    dtype: torch.dtype, soft_cap: float | None, leaf: str
) -> None:
    """Both are judged against float32 truth on the same rounded inputs."""
    student, teacher, head, labels = batch(rows=64, width=32, vocabulary=200, dtype=dtype)
    options = FusedOptions(soft_cap=soft_cap, teacher_head=(head, None))
    start = head.clone()

    def of(leaf_value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wide = leaf_value.dtype
        return (leaf_value, head.to(wide)) if leaf == "states" else (student.to(wide), leaf_value)

    def logit_way(value: torch.Tensor) -> LossReport:
        states, weight = of(value)
        first = (teacher.to(value.dtype), weight, labels)
        return explicit(states, *first, weights=ALL_ON, soft_cap=soft_cap, teacher_head=start.to(value.dtype))

    def fused_way(value: torch.Tensor) -> LossReport:
        states, weight = of(value)
        return fused_generation_objective(states, teacher, weight, labels, weights=ALL_ON, options=options, **PAPER)

    value = student if leaf == "states" else head
    exact = with_gradient(logit_way, value.float())
    fast = with_gradient(fused_way, value)
    slow = with_gradient(logit_way, value)
    scale = exact[1].abs().max()
    error, expected = ((found[1].float() - exact[1]).abs().max() / scale for found in (fast, slow))
    assert error <= 1.1 * expected + 2e-3
    for name in ("task", "consistency", "diversity", "spectral"):
        true = exact[0].term(name)
        assert abs(fast[0].term(name) - true) <= 1.5 * abs(slow[0].term(name) - true) + 2e-3 * abs(true)


def test_float16_does_not_lose_the_gradient_of_a_mean_over_many_tokens() -> None:
    student, teacher, head, labels = batch(rows=64, width=32, vocabulary=200, dtype=torch.float16)
    part = BatchPart(items=1e6)
    weights = {"consistency": 0.3, "diversity": 0.2}
    loss_scale = 65536.0
    leaf = student.clone().requires_grad_()
    report = fused_generation_objective(leaf, teacher, head, labels, weights=weights, part=part, **PAPER)
    (found,) = torch.autograd.grad(report.total * loss_scale, leaf)
    truth = student.float().requires_grad_()
    exact = explicit(truth, teacher.float(), head.float(), labels, weights=weights, part=part)
    (expected,) = torch.autograd.grad(exact.total * loss_scale, truth)
    assert (found.float() - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("trained", [False, True], ids=["frozen head", "trained head"])
@pytest.mark.parametrize("soft_cap", [None, 5.0])
def test_no_tensor_of_rows_times_vocabulary_is_ever_made(soft_cap: float | None, trained: bool) -> None:
    rows, vocabulary, width = 640, 4000, 16
    student, teacher, head, labels = batch(rows, width, vocabulary, torch.float32)
    head.requires_grad_(trained)
    options = FusedOptions(
        chunk_bytes=24 * vocabulary * 64, soft_cap=soft_cap, teacher_head=(head.detach().clone(), None)
    )
    with LargestTensor() as watch:
        leaf = student.clone().requires_grad_()
        report = fused_generation_objective(leaf, teacher, head, labels, weights=ALL_ON, options=options, **PAPER)
        report.total.backward()
    assert watch.elements <= max(64 * vocabulary, rows * rows)
    assert watch.elements < rows * vocabulary
    with LargestTensor() as naive:
        explicit(student, teacher, head, labels, weights=ALL_ON)
    assert naive.elements >= int((labels != -100).sum()) * vocabulary, "the watch must see what it looks for"


def test_all_masked_gives_zero_and_a_zero_gradient() -> None:
    student, teacher, head, labels = batch()
    report, gradient = with_gradient(
        lambda leaf: fused_generation_objective(
            leaf, teacher, head, torch.full_like(labels, -100), weights=ALL_ON, **PAPER
        ),
        student,
    )
    assert report.total == 0
    assert not gradient.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.zeros(3, dtype=torch.long)}, r"labels have shape \(3,\)"),
        ({"teacher_hidden": None}, "no teacher states"),
        ({"teacher_hidden": torch.zeros(2, 8)}, r"teacher_hidden has shape \(2, 8\)"),
        ({"head_weight": torch.zeros(50, 9)}, r"expected \(M, d\) and \(V, d\)"),
    ],
    ids=["labels", "no teacher", "teacher", "head"],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    student, teacher, head, labels = batch(dtype=torch.float32)
    inputs = {"student_hidden": student, "teacher_hidden": teacher, "head_weight": head, "labels": labels, **changes}
    with pytest.raises(ValueError, match=message):
        fused_generation_objective(**inputs, weights=ALL_ON)


def test_the_spectral_term_above_the_dense_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "DENSE_SIDE", 4)
    student, teacher, head, labels = batch(rows=60, width=20)
    fast = fused_generation_objective(student, teacher, head, labels, weights={"spectral": 1.0}, **PAPER)
    slow = explicit(student, teacher, head, labels, weights={"spectral": 1.0})
    torch.testing.assert_close(fast.spectral, slow.spectral, rtol=1e-5, atol=1e-7)
