"""Settings that change on the way act; moments and step count go on."""

from __future__ import annotations

import copy

import torch
from torch.optim.lr_scheduler import LambdaLR

from balora.training.continued import load_state_alone


def trained(rate: float, decay: float, steps: int) -> tuple[torch.nn.Parameter, torch.optim.AdamW, LambdaLR]:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=rate, weight_decay=decay)
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for _ in range(steps):
        weight.grad = torch.randn(3)
        optimizer.step()
        scheduler.step()
    return weight, optimizer, scheduler


def loaded(rate: float, decay: float) -> tuple[torch.optim.AdamW, LambdaLR]:
    _, earlier, its_scheduler = trained(0.5, 0.1, steps=4)
    state, schedule = copy.deepcopy(earlier.state_dict()), copy.deepcopy(its_scheduler.state_dict())
    _, optimizer, scheduler = trained(rate, decay, steps=0)

    def load() -> None:
        optimizer.load_state_dict(state)
        scheduler.load_state_dict(schedule)

    load_state_alone(optimizer, scheduler, load)
    return optimizer, scheduler


def test_the_same_settings_load_the_same_state() -> None:
    _, one, its_scheduler = trained(0.5, 0.1, steps=4)
    other, scheduler = loaded(0.5, 0.1)
    assert one.param_groups[0]["lr"] == other.param_groups[0]["lr"]
    assert its_scheduler.state_dict() == scheduler.state_dict()
    torch.testing.assert_close(one.state_dict()["state"], other.state_dict()["state"], rtol=0, atol=0)


def test_other_settings_act_from_the_step_at_hand() -> None:
    optimizer, scheduler = loaded(0.05, 0.0)
    assert optimizer.param_groups[0]["lr"] == 0.05 * (1 / 5)
    assert optimizer.param_groups[0]["weight_decay"] == 0.0
    assert scheduler.last_epoch == 4
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05 * (1 / 6)
