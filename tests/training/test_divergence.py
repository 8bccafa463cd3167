"""What is not finite is found before the update, by name and row; a jump of the loss is said once."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from balora.losses import LossReport
from balora.training.callbacks.divergence import SpikeWatch, describe, total_norms
from balora.training.evidence import Finding, StepEvidence, findings

NAN, INF = math.nan, math.inf


def report(**values: float) -> LossReport:
    terms = {name: torch.tensor(values.get(name, 1.0)) for name in ("task", "consistency", "diversity", "spectral")}
    weights = {"consistency": 0.5, "diversity": 0.5, "spectral": values.get("weight", 0.5)}
    return LossReport(total=sum(terms.values()), valid_tokens=1, weights=weights, **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["task", "consistency", "diversity", "spectral", "total"])
def test_the_micro_batch_and_its_rows_are_named(name: str, bad: float) -> None:
    evidence = StepEvidence()
    for part in range(3):
        spoiled = {name: bad} if part == 1 and name != "total" else {}
        made = report(**spoiled)
        total = torch.tensor(bad) if spoiled or (part == 1 and name == "total") else made.total
        evidence.add(made, total, torch.tensor([4 * part, 4 * part + 1, 4 * part + 3]))
    found, loss = findings(evidence.take(), {})
    assert (found[0].name, found[0].rows) == (name, (4, 5, 7))
    assert str(found[0]) == f"{name} not finite ({bad}, training rows 4-5, 7)"
    assert loss == 8.0, "the sum of what is finite"
    assert evidence.take() == []


def test_a_term_that_does_not_act_is_not_looked_at() -> None:
    evidence = StepEvidence()
    evidence.add(report(spectral=NAN, weight=0.0), torch.tensor(1.0), None)
    assert findings(evidence.take(), {}) == ([], 1.0)


def test_the_teacher_counts_where_a_term_looks() -> None:
    answers, seen = torch.zeros(2, 3, 4), torch.tensor([[True, True, False], [True, False, False]])
    for place, bad in (((0, 2), False), ((0, 1), True), ((1, 0), True), ((1, 2), False)):
        spoiled = answers.clone()
        spoiled[place][1] = NAN
        evidence = StepEvidence()
        evidence.teacher_answered(spoiled, seen)
        evidence.add(report(), torch.tensor(1.0), None)
        assert [one.name for one in findings(evidence.take(), {})[0]] == (["teacher"] if bad else [])


def test_causes_come_before_consequences() -> None:
    evidence = StepEvidence()
    evidence.teacher_answered(torch.full((1, 2), INF), None)
    evidence.add(report(consistency=NAN), torch.tensor(NAN), torch.tensor([3]))
    found, _ = findings(evidence.take(), {"gradient": torch.tensor(NAN), "weights": torch.tensor(2.0)})
    assert [one.name for one in found] == ["teacher", "consistency", "total", "gradient"]


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_one_number_among_many_is_found(bad: float) -> None:
    model = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))
    model(torch.ones(1, 7)).sum().backward()
    assert all(math.isfinite(value) for value in total_norms(model, gradients=True).values())
    with torch.no_grad():
        model[1].weight.grad[2, 3] = bad  # type: ignore[index]
        assert not math.isfinite(total_norms(model, gradients=True)["gradient"])
        assert "gradient" not in total_norms(model, gradients=False)
        model[0].weight[4, 6] = bad
        assert not math.isfinite(total_norms(model, gradients=False)["weights"])


def test_large_numbers_are_no_alarm() -> None:
    model = nn.Linear(100, 100).to(torch.bfloat16)
    with torch.no_grad():
        model.weight.fill_(1e16)
    assert math.isfinite(total_norms(model, gradients=True)["weights"])


def test_processes_speak_in_turn(tmp_path: Path) -> None:
    text = describe(7, [[], [Finding("diversity", INF, (3, 4)), Finding("total", INF)]], tmp_path)
    assert text.startswith("step 7: diversity not finite (inf, training rows 3-4), then total on process 1; stopped")
    assert "there is no checkpoint yet" in text


def test_rows_are_named_by_their_place_in_the_users_file_where_it_is_known(tmp_path: Path) -> None:
    found = [[Finding("task", INF, (4, 3)), Finding("total", INF, (4, 3))], [Finding("gradient", INF, tuple(range(9)))]]
    text = describe(7, found, tmp_path, lambda row: f"train.jsonl:{row + 1}")
    places = ", ".join(f"train.jsonl:{row + 1}" for row in range(8))
    assert f"on process 1; these rows (counted from 0) are {places} and 1 more; stopped before the update" in text
    assert "these rows" not in describe(7, [[Finding("weights", INF)]], tmp_path, str)


def steady(steps: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [2.0 * 0.999**step + draw.gauss(0, 0.1) for step in range(steps)]


def test_no_alarm_in_ten_thousand_ordinary_steps() -> None:
    watch = SpikeWatch()
    assert [said for loss in steady(10_000) if (said := watch.see(loss))] == []


@pytest.mark.parametrize("length", [1, 5])
def test_a_spike_is_spoken_of_once(length: int) -> None:
    watch, losses = SpikeWatch(), steady(300)
    losses[200 : 200 + length] = [9.0] * length
    said = {step: text for step, loss in enumerate(losses) if (text := watch.see(loss))}
    assert list(said) == [200]
    assert "jumped to 9: " in said[200]
    assert "standard deviations above the last 128" in said[200]


def test_without_a_history_nothing_is_a_spike() -> None:
    watch = SpikeWatch()
    found: list[Any] = [watch.see(loss) for loss in [1.0] * 31 + [50.0]]
    assert found == [None] * 32
