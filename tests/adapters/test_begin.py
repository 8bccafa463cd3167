"""Attached layers at their start: inputs that no format widens for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from balora.adapters import AdapterConfig, adapted_layers, attach_adapter
from tests.adapters.families import disturb
from tests.support import tiny


def gradients(method: str, *, narrow: bool, autocast: bool, dtype: torch.dtype = torch.float32) -> list[Any]:
    """Loss and gradients of a tiny adapted model, with and without the hook that keeps inputs narrow."""
    model = attach_adapter(tiny.build("llama").to(dtype), AdapterConfig(method=method, r=4))
    disturb(model)
    if not narrow:
        for _, layer in adapted_layers(model):
            layer._forward_pre_hooks.clear()
    ids = tiny.random_ids(2, 8)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize(
    ("autocast", "dtype"), [(True, torch.float32), (True, torch.bfloat16), (False, torch.bfloat16)]
)
@pytest.mark.parametrize("method", ["lora", "rslora", "loraplus"])
def test_gradients_are_bitwise_those_of_widened_inputs(method: str, autocast: bool, dtype: torch.dtype) -> None:
    narrow = gradients(method, narrow=True, autocast=autocast, dtype=dtype)
    wide = gradients(method, narrow=False, autocast=autocast, dtype=dtype)
    assert len(narrow) > 2
    assert all(torch.equal(one, other) for one, other in zip(narrow, wide, strict=True))


def test_factors_read_their_input_as_it_is_under_autocast() -> None:
    model = attach_adapter(tiny.build("llama").to(torch.bfloat16), AdapterConfig(method="lora", r=4))
    seen = []
    for _, layer in adapted_layers(model):
        layer.lora_A["default"].register_forward_pre_hook(lambda _module, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model(input_ids=tiny.random_ids(2, 8))
    assert len(seen) > 0
    assert set(seen) == {torch.bfloat16}


def test_magnitudes_keep_the_format_that_peft_takes_norms_in() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method="dora", r=4))
    assert all(not layer._forward_pre_hooks for _, layer in adapted_layers(model))


def test_lora_fa_s_frozen_factor_stays_frozen_when_adapters_were_off() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method="lora_fa", r=4))
    with model.disable_adapter():
        pass
    trained = {name.split(".")[-3] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"lora_B"}
