"""Stacked experts: the anchor on every expert's matrix, exact at the start, and readable by stock PEFT."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.lora.layer import ParamWrapper

from balora.adapters import AdapterConfig, adapted_layers, adapters_off, attach_adapter, principal_factors
from balora.adapters.anchor import join_experts, split_experts
from balora.adapters.experts import expert_weights
from balora.errors import ModelError
from balora.teacher import transformers_model
from tests.adapters.families import disturb, inputs_for, logits
from tests.support import tiny
from tests.support.families import MIXTURES

STACKS = ["experts.gate_up_proj", "experts.down_proj"]


def stacks_of(model: torch.nn.Module) -> list[ParamWrapper]:
    found = [layer for _, layer in adapted_layers(model) if isinstance(layer, ParamWrapper)]
    return [layer for layer in found if layer.get_param().dim() == 3]


@pytest.mark.parametrize("family", [*MIXTURES, "gpt_oss"])
def test_every_expert_starts_at_its_own_principal_part(family: str) -> None:
    """gpt_oss stores its experts the other way round, (E, in, out)."""
    model = attach_adapter(tiny.build(family), AdapterConfig(r=3, alpha=6, target_modules=STACKS))
    layers = stacks_of(model)
    assert len(layers) == {"mixtral": 4, "gpt_oss": 4}.get(family, 2)
    for layer in layers:
        down, up = split_experts(layer.lora_A["default"].weight, layer.lora_B["default"].weight, 4)
        for expert, weight in enumerate(expert_weights(layer)):
            expected = principal_factors(weight, 3, scaling=2.0)
            torch.testing.assert_close(up[expert] @ down[expert], expected.up @ expected.down)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", [*MIXTURES, "gpt_oss"])
def test_stacks_start_at_the_base_to_the_last_bit(family: str, dtype: torch.dtype) -> None:
    base = tiny.build(family).to(dtype)
    truth = logits(base, inputs_for(family))
    model = attach_adapter(base, AdapterConfig(r=4, alpha=6, target_modules=STACKS))
    assert torch.equal(logits(model, inputs_for(family)), truth)
    disturb(model)
    assert (logits(model, inputs_for(family)) - truth).abs().max() > 1e-2
    with adapters_off(model):
        assert torch.equal(logits(model, inputs_for(family)), truth)


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss"])
def test_gradients_follow_from_those_of_the_weights(family: str) -> None:
    """With y = (W + s·BA)x: dB = s·G Aᵀ and dA = s·Bᵀ G, G the gradient of W."""
    inputs = inputs_for(family)
    base = tiny.build(family)
    base(**inputs).logits.square().sum().backward()
    model = attach_adapter(tiny.build(family), AdapterConfig(r=4, alpha=6, target_modules=STACKS))
    model(**inputs).logits.square().sum().backward()
    for name, layer in adapted_layers(model):
        path = name.removeprefix("base_model.model.").replace(".base_layer", "")
        gradient = base.get_parameter(f"{path}.{layer.parameter_name}").grad
        gradient = gradient if family == "mixtral" else gradient.mT
        factor_a, factor_b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        down, up = split_experts(factor_a, factor_b, 4)
        expected = join_experts(1.5 * up.mT @ gradient, 1.5 * gradient @ down.mT)
        torch.testing.assert_close((factor_a.grad, factor_b.grad), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", [*MIXTURES, "gpt_oss"])
def test_stock_peft_loads_the_export_and_merges_it(family: str, tmp_path: Path) -> None:
    """Dense and shared layers of DeepSeek among them, which PEFT would take for experts by their names."""
    inputs = inputs_for(family)
    model = attach_adapter(tiny.build(family), AdapterConfig(r=2, alpha=3))
    disturb(model)
    trained = logits(model, inputs)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(tiny.build(family), tmp_path)
    torch.testing.assert_close(logits(loaded, inputs), trained, rtol=0, atol=1e-5)
    names = {name.replace("default.", "") for name, _ in adapted_layers(loaded)}
    assert names == {name for name, _ in adapted_layers(model)}
    torch.testing.assert_close(logits(loaded.merge_and_unload(), inputs), trained, rtol=0, atol=2e-5)
    torch.testing.assert_close(logits(model.merge_and_unload(), inputs), trained, rtol=0, atol=2e-5)


def test_small_steps_survive_16_bits() -> None:
    """Rounding A and B themselves to bfloat16 would lose a step of a thousandth of their size."""
    base = tiny.build("mixtral").to(torch.bfloat16)
    model = attach_adapter(base, AdapterConfig(r=4, target_modules=STACKS))
    layer = stacks_of(model)[0]
    with torch.no_grad():
        step = 1e-3 * layer.lora_B["default"].weight
        layer.lora_B["default"].weight.add_(step)
    down, up = split_experts(layer.lora_A["default"].weight, step, 4)
    expected = up @ down
    left, right, scaling = layer.get_delta_factors("default")
    assert left.dtype == torch.bfloat16
    found = scaling * left.float() @ right.float()
    assert (found - expected).norm() < 0.01 * expected.norm()


def test_a_rank_above_one_expert_s_smaller_side_is_named() -> None:
    with pytest.raises(ModelError, match=r"rank 40 exceeds .*first model\.layers\.0\.mlp\.experts"):
        attach_adapter(tiny.build("mixtral"), AdapterConfig(r=40, target_modules=["gate_up_proj"]))


def test_the_original_weights_stay_parameters_of_the_base() -> None:
    model = attach_adapter(tiny.build("mixtral"), AdapterConfig(r=2))
    model(**inputs_for("mixtral")).logits.sum().backward()
    kept = dict(transformers_model(model).named_parameters())
    assert [name for name in kept if name.endswith("gate_up_proj")]
    assert not [name for name in kept if "parametrizations" in name]
