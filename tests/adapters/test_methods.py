"""What every method promises on every family: it starts at the base, leaves it alone, and comes back from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from balora.adapters import (
    METHODS,
    adapters_off,
    find_method,
    load_bottlenecks,
    load_trainable_state,
    save_trainable_state,
)
from balora.errors import ModelError
from tests.adapters.families import IMPOSSIBLE, LATER_METHODS, adapt, disturb, inputs_for, logits
from tests.adapters.families import METHODS as FIRST_METHODS
from tests.support import tiny

POSSIBLE = [(m, f) for m in LATER_METHODS for f in tiny.FAMILIES if (m, f) not in IMPOSSIBLE]


def test_the_tests_of_this_room_know_every_method() -> None:
    assert {*FIRST_METHODS, *(name.removesuffix("-kpm") for name in LATER_METHODS), "full"} == set(METHODS)


def reload(method: str, family: str, folder: Path) -> Any:
    """The saved adapter on a fresh base, by whatever library loads it."""
    base = tiny.FAMILIES[family]()
    if method in ("houlsby", "pfeiffer"):
        return load_bottlenecks(base, folder)
    return peft.PeftModel.from_pretrained(base, folder)


@pytest.mark.parametrize(("method", "family"), POSSIBLE)
def test_a_method_keeps_its_promises(method: str, family: str, tmp_path: Path) -> None:
    base = tiny.FAMILIES[family]()
    inputs, truth = inputs_for(family), logits(base, inputs_for(family))
    untouched = {name: value.clone() for name, value in base.state_dict().items()}
    model = adapt(family, method, base)
    assert (logits(model, inputs) - truth).abs().max() < 1e-5, "the student starts at the base"
    disturb(model)
    trained = logits(model, inputs)
    assert (trained - truth).abs().max() > 1e-3, "the adapter must matter for what follows"
    with adapters_off(model):
        assert torch.equal(logits(model, inputs), truth), "off is the pretrained model bitwise"
    assert torch.equal(logits(model, inputs), trained), "and on again it is the student"
    now = {
        name.replace("base_model.model.", "", 1).replace(".base_layer", "").replace(".original_module", ""): value
        for name, value in model.state_dict().items()
    }
    assert all(torch.equal(now[name], value) for name, value in untouched.items()), "no base weight changes"

    model.save_pretrained(tmp_path / "export")
    torch.testing.assert_close(logits(reload(method, family, tmp_path / "export"), inputs), trained, rtol=0, atol=2e-5)
    save_trainable_state(model, tmp_path)
    again = adapt(family, method, seed=7)
    load_trainable_state(again, tmp_path)
    assert torch.equal(logits(again, inputs), trained), "a state file brings everything back, another seed or not"


@pytest.mark.parametrize(("method", "family"), IMPOSSIBLE)
def test_an_impossible_cell_ends_in_a_clear_error(method: str, family: str) -> None:
    with pytest.raises(ModelError, match=IMPOSSIBLE[method, family]):
        adapt(family, method)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.calibrated])
def test_a_data_driven_start_without_a_sample_is_refused(method: str) -> None:
    from balora.adapters import AdapterConfig, Calibration, attach_adapter

    with pytest.raises(ModelError, match="starts from a calibration sample, and there is none"):
        attach_adapter(tiny.build("llama"), AdapterConfig(method=method, r=2))
    empty = Calibration([], dict)
    with pytest.raises(ModelError, match="there is none"):
        attach_adapter(tiny.build("llama"), AdapterConfig(method=method, r=2), calibration=empty)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.calibrated])
def test_a_refused_start_leaves_the_model_as_it_was(method: str) -> None:
    """No half-made attribute, hook or flag stays behind on the pretrained model."""
    from balora.adapters import AdapterConfig, Calibration, attach_adapter

    base = tiny.build("llama").requires_grad_(False)

    def broken(rows: object) -> dict[str, torch.Tensor]:
        raise ValueError("a row of nonsense")

    def marks() -> list[Any]:
        return [
            (name, sorted(vars(module)), len(module._forward_hooks), module.training)
            for name, module in base.named_modules()
        ]

    before = marks()
    with pytest.raises((ModelError, ValueError), match="nonsense"):
        attach_adapter(base, AdapterConfig(method=method, r=2), calibration=Calibration([{}, {}], broken))
    assert marks() == before
    assert not [name for name, parameter in base.named_parameters() if parameter.requires_grad]


def test_methods_say_where_they_come_from() -> None:
    for method in METHODS.values():
        assert method.trains
        assert method.computed_by
        assert method.paper or method.name == "full"
        assert find_method(method.name) is method
