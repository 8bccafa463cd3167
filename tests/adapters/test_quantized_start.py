"""PiSSA on a quantized base: what student and teacher compute, for both ways to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from balora import AdapterConfig, prepare_model
from balora.adapters import adapted_layers, adapters_off, load_trainable_state, save_trainable_state
from balora.adapters.checkpoint_weights import CheckpointWeights, plain_name
from balora.adapters.quantization_error import over_all, quantization_errors
from balora.adapters.quantized import round_trip, unpacked_weight
from balora.adapters.quantized_start import base_weight, starts_at_residual
from balora.errors import ModelError
from tests.support.bits import HEADS, inputs_for, load_in_bits, nudge, save_wide


def adapt(folder: Path, family: str, quantization: str = "nf4", **settings: Any) -> Any:
    model = load_in_bits(folder, family, quantization)
    config = AdapterConfig(**{"method": "pissa", "r": 4, **settings})
    return prepare_model(model, config, task=HEADS[family][1])


def logits(model: Any, family: str) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(**inputs_for(family)).logits
    return result


def teacher_logits(model: Any, family: str) -> Tensor:
    with adapters_off(model):
        return logits(model, family)


@pytest.mark.parametrize("quantization", ["nf4", "int8", "torchao_int8"])
@pytest.mark.parametrize("method", ["lora", "dora", "pissa"])
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_teacher_is_the_quantized_model_bitwise(
    tmp_path: Path, family: str, method: str, quantization: str
) -> None:
    save_wide(tmp_path, family)
    adapted = adapt(tmp_path, family, quantization, method=method)
    with torch.no_grad():
        before = logits(
            prepare_model(load_in_bits(tmp_path, family, quantization), AdapterConfig(method="lora")), family
        )
    assert torch.equal(teacher_logits(adapted, family), before)
    torch.testing.assert_close(logits(adapted, family), before, rtol=1e-5, atol=1e-5)
    nudge(adapted)
    assert torch.equal(teacher_logits(adapted, family), before)
    assert not torch.allclose(logits(adapted, family), before, atol=1e-3)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5", "deberta-v2"])
def test_at_the_residual_student_and_teacher_start_as_one(tmp_path: Path, family: str, quantization: str) -> None:
    save_wide(tmp_path, family)
    adapted = adapt(tmp_path, family, quantization, quantized_start="residual", alpha=8)
    teacher = teacher_logits(adapted, family)
    assert torch.equal(logits(adapted, family), teacher)
    nudge(adapted)
    assert torch.equal(teacher_logits(adapted, family), teacher)
    with adapted.disable_adapter():
        assert torch.equal(logits(adapted, family), teacher)
    assert not torch.allclose(logits(adapted, family), teacher, atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_base_is_the_quantized_residual(tmp_path: Path, family: str) -> None:
    full = save_wide(tmp_path, family)
    adapted = adapt(tmp_path, family, quantized_start="residual", alpha=2)
    for name, layer in adapted_layers(adapted):
        start = layer.quantized_start["default"]
        weight = full.get_submodule(plain_name(name)).weight.detach()
        weight = weight.T if family == "gpt2" else weight
        principal = 0.5 * start.up @ start.down
        values = torch.linalg.svdvals(weight)
        torch.testing.assert_close(torch.linalg.svdvals(principal)[:4], values[:4], rtol=1e-4, atol=1e-5)
        expected = round_trip(layer.get_base_layer(), (weight - principal).contiguous())
        assert torch.equal(unpacked_weight(layer.get_base_layer()), expected)


def test_off_is_residual_plus_start_and_on_is_residual_plus_factors(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    adapted = adapt(tmp_path, "llama", quantized_start="residual", alpha=8)
    nudge(adapted)
    _, layer = next(adapted_layers(adapted))
    start, x = layer.quantized_start["default"], torch.randn(3, 64)
    residual = base_weight(layer.get_base_layer()).float()
    with torch.no_grad():
        on = layer(x)
        with adapters_off(layer):
            off = layer(x)
    torch.testing.assert_close(off, x @ (residual + 2 * start.up @ start.down).T, rtol=1e-4, atol=1e-4)
    update = 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    torch.testing.assert_close(on, x @ (residual + update).T, rtol=1e-4, atol=1e-4)


def test_more_iterations_miss_less_and_all_miss_less_than_plain_quantization(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "llama")
    # A spectrum that decays, as trained weights have and random ones do not.
    for name, parameter in full.named_parameters():
        if name.endswith("proj.weight"):
            left, values, right = torch.linalg.svd(parameter.data, full_matrices=False)
            parameter.data = left * (values * torch.arange(1, len(values) + 1) ** -0.7) @ right
    full.save_pretrained(tmp_path)
    missed = {}
    for iterations in (1, 5):
        adapted = adapt(tmp_path, "llama", quantized_start="residual", quantized_start_iterations=iterations)
        weights = CheckpointWeights.of(adapted.get_base_model())
        errors = quantization_errors(adapted_layers(adapted), weights, nuclear=True)
        missed["quantized"] = over_all(errors.quantized.values())
        missed[str(iterations)] = over_all(errors.start.values())
    assert missed["5"].frobenius < missed["1"].frobenius < missed["quantized"].frobenius
    nuclear = [missed[key].nuclear for key in ("5", "1", "quantized")]
    assert nuclear == sorted(nuclear, key=lambda value: value or 0.0)


@pytest.mark.parametrize("iterations", [1, 3])
def test_layers_that_are_not_quantized_start_at_their_residual_too(tmp_path: Path, iterations: int) -> None:
    full = save_wide(tmp_path, "llama", intermediate_size=96)
    adapted = adapt(tmp_path, "llama", quantized_start="residual", quantized_start_iterations=iterations)
    layer = adapted.get_submodule("base_model.model.model.layers.0.mlp.down_proj")
    assert "Linear4bit" not in type(layer).__name__
    start = layer.quantized_start["default"]
    began = layer.get_base_layer().weight + start.up @ start.down
    torch.testing.assert_close(began, full.get_submodule("model.layers.0.mlp.down_proj").weight, rtol=1e-4, atol=1e-5)
    assert torch.equal(logits(adapted, "llama"), teacher_logits(adapted, "llama"))


def test_a_checkpoint_state_goes_back_and_another_residual_is_refused(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    trained = adapt(tmp_path, "llama", quantized_start="residual")
    nudge(trained)
    (tmp_path / "state").mkdir()
    save_trainable_state(trained, tmp_path / "state")
    fresh = adapt(tmp_path, "llama", quantized_start="residual")
    load_trainable_state(fresh, tmp_path / "state")
    assert torch.equal(logits(fresh, "llama"), logits(trained, "llama"))
    other = adapt(tmp_path, "llama", quantized_start="residual", quantized_start_iterations=2)
    with pytest.raises(ModelError, match="not those that the run began with"):
        load_trainable_state(other, tmp_path / "state")


def test_another_checkpoint_than_the_loaded_one_is_refused(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    model = load_in_bits(tmp_path, "llama")
    save_wide(tmp_path, "llama", seed=1)
    with pytest.raises(ModelError, match="is not what the loaded layer was quantized from"):
        prepare_model(model, AdapterConfig(method="pissa", r=4, quantized_start="residual"))


def test_the_residual_is_a_start_of_pissa_on_a_quantized_base(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "llama")
    with pytest.raises(ModelError, match="a start of pissa"):
        adapt(tmp_path, "llama", quantized_start="residual", method="lora")
    with pytest.raises(ModelError, match="none of the adapted layers is quantized"):
        prepare_model(full, AdapterConfig(method="pissa", r=4, quantized_start="residual"))
    with pytest.raises(ModelError, match="only weights that bitsandbytes quantized"):
        adapt(tmp_path, "llama", "torchao_int8", quantized_start="residual")


def test_only_a_residual_start_needs_a_base_of_its_own(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    assert starts_at_residual(adapt(tmp_path, "llama", quantized_start="residual"))
    assert not starts_at_residual(adapt(tmp_path, "llama"))


def test_quantized_weights_are_not_trained_in_full(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    with pytest.raises(ModelError, match="cannot train quantized weights"):
        adapt(tmp_path, "llama", method="full")
