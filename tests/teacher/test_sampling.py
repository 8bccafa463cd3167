"""A teacher that is asked about a part of the sequences: no bias, and the same draw after a restart."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from balora.losses import BatchPart, GenerationObjective
from balora.teacher import draw_sequences
from balora.training import BALoraConfig
from tests.support import tiny
from tests.training.test_fused_path import losses, trainer


@given(count=st.integers(1, 40), fraction=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_a_draw_is_ascending_and_of_the_nearest_size(count: int, fraction: float, seed: int) -> None:
    chosen = draw_sequences(count, fraction, seed=(seed, 3, 1)).tolist()
    assert chosen == sorted(set(chosen))
    assert all(0 <= index < count for index in chosen)
    assert abs(len(chosen) - fraction * count) < 1
    assert chosen == draw_sequences(count, fraction, seed=(seed, 3, 1)).tolist()
    assert len(chosen) == len(draw_sequences(count, fraction, seed=(seed, 3, 2))), "processes ask equally often"


def test_every_sequence_is_drawn_as_often_as_said() -> None:
    draws = 4000
    hits = torch.zeros(5)
    for step in range(draws):
        hits[draw_sequences(5, 0.3, seed=(0, step, 0))] += 1
    # Four standard deviations of a binomial with p = 0.3.
    assert (hits / draws - 0.3).abs().max() < 4 * (0.3 * 0.7 / draws) ** 0.5


@pytest.mark.parametrize("items", [None, 17.0])
def test_the_mean_over_all_draws_is_the_full_term(items: float | None) -> None:
    torch.manual_seed(0)
    objective = GenerationObjective(BALoraConfig.nlg(), shift=True)
    student, teacher = torch.randn(2, 4, 6, 30, dtype=torch.float64)
    labels = torch.randint(0, 30, (4, 6))
    labels[torch.rand(4, 6) < 0.3] = -100

    def value_and_gradient(part: BatchPart) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = student.clone().requires_grad_()
        chosen = teacher if part.teacher_sequences is None else teacher[part.teacher_sequences]
        report = objective(leaf, chosen, labels, weights={"consistency": 0.7}, part=part)
        (gradient,) = torch.autograd.grad(report.total, leaf)
        return report.consistency.detach(), gradient

    full = value_and_gradient(BatchPart(items=items, term_items=items))
    draws = [torch.tensor(pair) for pair in itertools.combinations(range(4), 2)]
    parts = [BatchPart(items=items, term_items=items, teacher_sequences=d, teacher_fraction=0.5) for d in draws]
    found = [value_and_gradient(part) for part in parts]
    for whole, sampled in zip(full, zip(*found, strict=True), strict=True):
        torch.testing.assert_close(torch.stack(sampled).mean(dim=0), whole)


def spied(run: Any) -> list[int]:
    """How many sequences the teacher is asked about, call by call, once training runs."""
    asked: list[int] = []
    train = run._ask_teacher

    def ask(model: Any, batch: Any, labels: Any, rows: Any, chosen: Any, **options: Any) -> Any:
        asked.append(len(batch["input_ids"]) if chosen is None else len(chosen))
        return train(model, batch, labels, rows, chosen, **options)

    run._ask_teacher = ask
    return asked


@pytest.mark.parametrize("fraction", [0.5, 0.3])
def test_both_paths_ask_about_the_same_sequences(fraction: float, tmp_path: Path) -> None:
    found = []
    for path in ("auto", "explicit"):
        config = {"loss_path": path, "teacher_fraction": fraction}
        run = trainer(tmp_path / path, tiny.build("llama"), config=config, max_steps=10)
        asked = spied(run)
        run.train()
        assert len(asked) == 10
        assert 0.5 * fraction < sum(asked) / 40 < 1.6 * fraction
        found.append((losses(run), asked))
    assert found[0][1] == found[1][1]
    torch.testing.assert_close(found[0][0], found[1][0], rtol=2e-3, atol=2e-4)


def test_a_batch_the_teacher_is_not_asked_about_has_no_consistency(tmp_path: Path) -> None:
    for path in ("auto", "explicit"):
        config = {"loss_path": path, "teacher_fraction": 0.05}
        run = trainer(tmp_path / path, tiny.build("llama"), config=config, max_steps=8)
        asked = spied(run)
        run.train()
        raw = losses(run)[:, 2]
        assert 0 in asked
        assert all(raw[step] == 0 for step, count in enumerate(asked) if count == 0)


def test_the_share_follows_the_schedule_and_the_weight_stays(tmp_path: Path) -> None:
    config = {"teacher_fraction": "schedule", "consistency_schedule": "cosine"}
    run = trainer(tmp_path, tiny.build("llama"), config=config, max_steps=24)
    asked = spied(run)
    run.train()
    assert asked[0] == 4
    assert 0.35 < sum(asked) / (4 * 24) < 0.75, "the mean of the cosine with a floor of 0.1 is 0.55"
    assert sum(asked[:8]) > 2 * sum(asked[-8:])


def test_a_resumed_run_asks_about_the_same_sequences(tmp_path: Path) -> None:
    changes = {"save_strategy": "steps", "save_steps": 3, "gradient_accumulation_steps": 2, "max_steps": 6}
    whole, resumed = (
        trainer(tmp_path, tiny.build("llama"), config={"teacher_fraction": 0.4}, **changes) for _ in range(2)
    )
    whole.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert torch.equal(losses(resumed)[-3:], losses(whole)[-3:])


def test_asking_about_all_is_the_default(tmp_path: Path) -> None:
    runs = [trainer(tmp_path, tiny.build("llama"), config=c, max_steps=3) for c in ({}, {"teacher_fraction": 1.0})]
    for run in runs:
        run.train()
    assert torch.equal(losses(runs[0]), losses(runs[1]))


@pytest.mark.parametrize("value", [0, -0.5, 1.5, "half"])
def test_shares_that_make_no_sense_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="teacher_fraction"):
        BALoraConfig.nlg(teacher_fraction=value)
