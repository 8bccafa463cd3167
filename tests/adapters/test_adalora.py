"""AdaLoRA: the schedule over a run, what is dropped, the export, and what a resumed run needs."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from balora.adapters import (
    AdapterConfig,
    adalora_of,
    load_trainable_state,
    move_ranks,
    orthogonality,
    plan_ranks,
    save_trainable_state,
)
from balora.adapters.adalora import allocator_state, as_plain_factors, layers_of
from balora.errors import ModelError
from tests.adapters.families import adapt, inputs_for, logits
from tests.support import tiny


def trained(steps: int = 10, *, until: int | None = None, seed: int = 0) -> torch.nn.Module:
    """A run of `steps` in which every step moves numbers and ranks."""
    model = adapt("llama", "adalora", r=3, alpha=None, seed=seed)
    inner, config = adalora_of(model), AdapterConfig(method="adalora", r=3)
    assert inner is not None
    plan_ranks(inner, config, steps)
    go_on(model, range(1, (until or steps) + 1))
    return model


def go_on(model: torch.nn.Module, steps: range) -> None:
    inner = adalora_of(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    for step in steps:
        optimizer = torch.optim.SGD(parameters, lr=0.5)
        optimizer.zero_grad()
        (model(input_ids=tiny.random_ids(4, 8, seed=step)).logits.square().mean() + orthogonality(inner)).backward()
        optimizer.step()
        move_ranks(inner, step)


def ranks(model: torch.nn.Module) -> list[int]:
    return [int((layer.lora_E["default"] != 0).sum()) for layer in layers_of(model)]


def test_ranks_start_above_r_and_end_at_r_on_the_mean() -> None:
    assert ranks(trained(until=1)) == [5] * 14
    ended = ranks(trained())
    assert sum(ended) == 3 * 14
    assert len(set(ended)) > 1, "some layers keep more than others"


def test_the_three_phases_follow_the_number_of_steps() -> None:
    inner = adalora_of(adapt("llama", "adalora"))
    plan_ranks(inner, AdapterConfig(method="adalora", adalora_warmup=0.2, adalora_final=0.5), 50)
    planned = inner.peft_config["default"]
    assert (planned.total_step, planned.tinit, planned.tfinal) == (50, 10, 25)
    with pytest.raises(ModelError, match="leave none"):
        plan_ranks(inner, AdapterConfig(method="adalora", adalora_warmup=0.5, adalora_final=0.49), 0)


def test_the_allocator_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Through the state file of a checkpoint, into a model that started elsewhere."""
    whole, half = trained(), trained(until=3)
    scored = allocator_state(half)
    assert any(name.startswith("adalora.allocated") for name in scored)
    assert any(name.startswith("adalora.mean") and value.any() for name, value in scored.items())
    save_trainable_state(half, tmp_path)
    again = adapt("llama", "adalora", r=3, alpha=None, seed=9)
    plan_ranks(adalora_of(again), AdapterConfig(method="adalora", r=3), 10)
    load_trainable_state(again, tmp_path)
    restored = allocator_state(again)
    assert restored.keys() == scored.keys()
    assert all(torch.equal(restored[name], value) for name, value in scored.items())
    go_on(again, range(4, 11))
    inputs = inputs_for("llama")
    assert torch.equal(logits(again, inputs), logits(whole, inputs))


def test_what_is_saved_is_plain_lora_of_the_largest_rank_left(tmp_path: Path) -> None:
    model = trained()
    _, rank = as_plain_factors(model.state_dict(), model.peft_config["default"])
    assert rank == max(ranks(model)) <= 5
    model.save_pretrained(tmp_path)
    reloaded = peft.PeftModel.from_pretrained(tiny.build("llama"), tmp_path)
    config = reloaded.peft_config["default"]
    assert (config.peft_type, config.r, config.lora_alpha) == ("LORA", rank, rank)
    inputs = inputs_for("llama")
    torch.testing.assert_close(logits(reloaded, inputs), logits(model, inputs), rtol=0, atol=1e-5)
    assert model.peft_config["default"].peft_type == "ADALORA", "saving must not change the model in training"


def test_orthogonality_is_pefts_own_term() -> None:
    model = trained(until=2).eval()
    ids = tiny.random_ids(2, 6)
    with torch.no_grad():
        with_term = model(input_ids=ids, labels=ids).loss
        model.peft_config["default"].orth_reg_weight = 0.0
        without = model(input_ids=ids, labels=ids).loss
        torch.testing.assert_close(with_term - without, 0.5 * orthogonality(adalora_of(model)), rtol=1e-4, atol=1e-5)


def test_settings_that_leave_nothing_to_allocate_are_refused() -> None:
    with pytest.raises(ValueError, match="ranks fall to r = 8"):
        AdapterConfig(method="adalora", r=8, adalora_initial_rank=8)
    with pytest.raises(ValueError, match="must stay below 1"):
        AdapterConfig(method="adalora", adalora_warmup=0.6, adalora_final=0.5)
    with pytest.raises(ModelError, match=r"rank 18 exceeds"):
        adapt("llama", "adalora", r=12)
