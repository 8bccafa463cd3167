"""Adapters off and on again: everything comes back as it was."""

from __future__ import annotations

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from balora.adapters.switch import modules_of
from tests.adapters.families import disturb, inputs_for, logits
from tests.support import tiny


def test_requires_grad_comes_back_as_it_was() -> None:
    """PEFT's own switch would unfreeze the A that was frozen on purpose."""
    model = attach_adapter(tiny.build("roberta", "sequence_classification"), AdapterConfig(r=4))
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            parameter.requires_grad_(False)
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    with adapters_off(model):
        pass
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == before


def test_adapters_come_back_after_an_error() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    disturb(model)
    trained = logits(model, inputs_for("llama"))
    with pytest.raises(RuntimeError, match="teacher"), adapters_off(model):
        raise RuntimeError("teacher")
    assert (logits(model, inputs_for("llama")) == trained).all()


def test_gradients_recorded_before_are_kept() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    inputs = inputs_for("llama")
    loss = model(**inputs).logits.square().sum()
    with adapters_off(model):
        logits(model, inputs)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_model_without_adapters_is_refused() -> None:
    with pytest.raises(ValueError, match="no adapter"), adapters_off(tiny.build("llama")):
        pass


@pytest.mark.parametrize("head", [False, True], ids=["adapter", "adapter and head"])
def test_blocks_nest(head: bool) -> None:
    family = "roberta" if head else "llama"
    base = tiny.FAMILIES[family]()
    inputs = inputs_for(family)
    truth = logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(r=4))
    disturb(model)
    trained = logits(model, inputs)
    for outer in (adapters_off(model), model.disable_adapter()):
        with outer:
            with adapters_off(model):
                assert torch.equal(logits(model, inputs), truth)
            assert torch.equal(logits(model, inputs), truth), "the inner block must not turn them on again"
        assert torch.equal(logits(model, inputs), trained)


def test_layers_that_come_and_go_are_seen() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4, target_modules=["q_proj"]))
    truth = logits(model.unload(), inputs_for("llama"))
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4, target_modules=["q_proj"]))
    with adapters_off(model):
        pass
    model.add_adapter("more", peft.LoraConfig(target_modules=["v_proj"], init_lora_weights=False))
    model.set_adapter("more")
    assert not torch.equal(logits(model, inputs_for("llama")), truth)
    with adapters_off(model):
        assert torch.equal(logits(model, inputs_for("llama")), truth)


def test_the_walk_finds_every_module_once() -> None:
    model = attach_adapter(tiny.build("roberta", "sequence_classification"), AdapterConfig(r=4))
    walked = modules_of(model)
    assert len(walked) == len(list(model.modules()))
    assert set(map(id, walked)) == set(map(id, model.modules()))
