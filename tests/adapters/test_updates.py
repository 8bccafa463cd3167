"""The factors of what an adapter changed are the change itself."""

from __future__ import annotations

import pytest
import torch

from balora.adapters import adapted_layers, weight_updates
from balora.adapters.additions import named_additions
from tests.adapters.families import adapt, disturb


def matrices(model: torch.nn.Module) -> list[torch.Tensor]:
    found = []
    for update in weight_updates(model):
        change = update.up @ update.down
        if update.up_start is not None:
            change = change - update.up_start @ update.down_start
        found.append((update.scaling * change).detach())
    return found


@pytest.mark.parametrize("method", ["lora", "rslora", "adalora", "pissa", "milora", "corda++", "eva"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_factors_multiply_to_what_merging_adds(family: str, method: str) -> None:
    model = adapt(family, method)
    assert all(change.abs().max() < 1e-6 for change in matrices(model)), "nothing has changed at the start"
    disturb(model)
    changes = matrices(model)
    layers = [layer for _, layer in adapted_layers(model)]
    before = [layer.get_base_layer().weight.clone() for layer in layers]
    model.merge_adapter()
    assert len(changes) == len(layers) > 0
    for change, layer, weight in zip(changes, layers, before, strict=True):
        merged = layer.get_base_layer().weight - weight
        torch.testing.assert_close(change.T if family == "gpt2" else change, merged, rtol=0, atol=2e-5)


def test_additions_change_biases_and_products() -> None:
    shifted = adapt("bert", "bitfit")
    disturb(shifted)
    shifts = [addition.shift.detach() for _, addition in named_additions(shifted)]
    assert all(torch.equal(one.flatten(), two) for one, two in zip(matrices(shifted), shifts, strict=True))
    bottlenecks = adapt("bert", "houlsby")
    assert not any(change.any() for change in matrices(bottlenecks))
    disturb(bottlenecks)
    assert all(change.any() for change in matrices(bottlenecks))
    assert list(weight_updates(adapt("bert", "full"))) == []
