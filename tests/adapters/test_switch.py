"""Adapters off and on again: everything comes back as it was."""

from __future__ import annotations

import pytest

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
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
