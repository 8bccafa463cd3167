"""Spread tensors and back; with two processes the same code is tested in `tests/training/test_fsdp.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from balora.adapters.sharding import like, local, put, spread_optimizer_state, whole, whole_nested, whole_state


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        dist.destroy_process_group()


def spread(mesh: DeviceMesh, value: torch.Tensor) -> DTensor:
    return distribute_tensor(value, mesh, [Shard(0)])


def test_what_is_spread_is_whole_again(mesh: DeviceMesh) -> None:
    value = torch.arange(6.0).reshape(3, 2)
    there = like(spread(mesh, torch.zeros(3, 2)), value)
    assert isinstance(there, DTensor)
    assert type(whole(there)) is torch.Tensor
    assert torch.equal(whole(there), value)
    assert torch.equal(local(there), value), "one process holds all of it"


def test_plain_tensors_stay_the_same_objects() -> None:
    value = torch.ones(2)
    assert whole(value) is value
    assert local(value) is value
    assert like(torch.zeros(2), value) is value


def test_a_value_is_put_into_either_kind(mesh: DeviceMesh) -> None:
    for target in (torch.zeros(4), spread(mesh, torch.zeros(4))):
        put(target, torch.arange(4.0))
        assert torch.equal(whole(target), torch.arange(4.0))


def test_a_saved_state_holds_what_trains_and_what_an_adapter_added(mesh: DeviceMesh) -> None:
    model = nn.Module()
    model.base = nn.Parameter(spread(mesh, torch.ones(4)), requires_grad=False)
    model.lora_start = nn.Parameter(spread(mesh, torch.ones(4)), requires_grad=False)
    model.trained = nn.Parameter(spread(mesh, torch.full((4,), 2.0)))
    small = whole_state(model, adapter_only=True)
    assert sorted(small) == ["lora_start", "trained"]
    assert sorted(whole_state(model, adapter_only=False)) == ["base", "lora_start", "trained"]
    assert torch.equal(small["trained"], torch.full((4,), 2.0))


def test_the_state_of_an_optimizer_comes_back(mesh: DeviceMesh) -> None:
    def stepped(parameter: nn.Parameter) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW([parameter], lr=0.1)
        for _ in range(2):
            parameter.grad = torch.full_like(parameter, 0.5)
            optimizer.step()
        return optimizer

    optimizer = stepped(nn.Parameter(spread(mesh, torch.ones(4))))
    plain = stepped(nn.Parameter(torch.ones(4))).state_dict()
    saved = whole_nested(optimizer.state_dict())
    assert saved["param_groups"] == plain["param_groups"]
    for name, value in plain["state"][0].items():
        assert type(saved["state"][0][name]) is torch.Tensor
        assert torch.equal(saved["state"][0][name], value)
    back = spread_optimizer_state(saved, optimizer.param_groups)
    assert isinstance(back["state"][0]["exp_avg"], DTensor)
    assert not isinstance(back["state"][0]["step"], DTensor), "a number of its own, not of the parameter's shape"
    optimizer.load_state_dict(back)
    assert torch.equal(whole(optimizer.state_dict()["state"][0]["exp_avg"]), plain["state"][0]["exp_avg"])
