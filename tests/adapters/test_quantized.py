"""Quantized layers: unpacked right, the same function in every mode, and refused where they would be wrong."""

from __future__ import annotations

from pathlib import Path

import bitsandbytes
import pytest
import torch
from torch import Tensor, nn

from balora.adapters.quantized import (
    quantization_of,
    quantized_layers,
    round_trip,
    set_quantized,
    steady_quantized_layers,
    stored_transposed,
    unpacked_weight,
)
from balora.errors import ModelError
from tests.support import tiny
from tests.support.bits import inputs_for, load_in_bits, save_wide


def four_bits(weight: Tensor, *, storage: torch.dtype = torch.uint8, double: bool = False) -> nn.Module:
    layer = bitsandbytes.nn.Linear4bit(
        weight.shape[1],
        weight.shape[0],
        bias=False,
        compute_dtype=torch.float32,
        quant_type="nf4",
        compress_statistics=double,
        quant_storage=storage,
    )
    layer.weight = bitsandbytes.nn.Params4bit(
        weight.clone(),
        requires_grad=False,
        quant_type="nf4",
        compress_statistics=double,
        quant_storage=storage,
        module=layer,
    )
    return layer.to("cpu")


def eight_bits(weight: Tensor) -> nn.Module:
    layer = bitsandbytes.nn.Linear8bitLt(weight.shape[1], weight.shape[0], bias=False, has_fp16_weights=False)
    layer.weight = bitsandbytes.nn.Int8Params(weight.clone(), requires_grad=False)
    return layer.to("cpu")


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(48, 128, generator=torch.Generator().manual_seed(1))


def unpacked_by_hand(layer: nn.Module) -> Tensor:
    """Two codes per byte, one scale per block of 64."""
    state = layer.weight.quant_state
    packed = layer.weight.data.view(torch.uint8).flatten()
    codes = torch.stack([packed >> 4, packed & 15], dim=1).flatten().long()
    return (state.code[codes].view(-1, 64) * state.absmax[:, None]).view(state.shape)


@pytest.mark.parametrize("storage", [torch.uint8, torch.float32, torch.bfloat16])
def test_four_bits_are_unpacked_whatever_they_are_stored_as(weight: Tensor, storage: torch.dtype) -> None:
    layer = four_bits(weight, storage=storage)
    assert layer.weight.dtype == storage
    assert quantization_of(layer) == "bitsandbytes 4 bits"
    torch.testing.assert_close(unpacked_weight(layer), unpacked_by_hand(layer), rtol=1e-6, atol=1e-7)


def test_eight_bits_are_codes_times_a_scale_per_row(weight: Tensor) -> None:
    layer = eight_bits(weight)
    scales = weight.half().abs().amax(dim=1, keepdim=True).float() / 127
    expected = (weight.half().float() / scales).round() * scales
    # Ties may be rounded either way: half a code at most.
    assert ((unpacked_weight(layer).float() - expected).abs() <= scales * 1.001).all()
    layer(torch.randn(2, 128))
    first = unpacked_weight(layer)
    layer(torch.randn(2, 128))
    assert torch.equal(unpacked_weight(layer), first)


@pytest.mark.parametrize("make", [four_bits, eight_bits])
def test_another_weight_is_quantized_as_a_round_trip_says(weight: Tensor, make: object) -> None:
    layer = make(weight)  # type: ignore[operator]
    other = 3 * weight.flip(0)
    expected = round_trip(layer, other)
    layer(torch.randn(2, 128))
    set_quantized(layer, other)
    assert torch.equal(unpacked_weight(layer).float(), expected.float())
    x = torch.randn(5, 128)
    layer.train()
    steady_quantized_layers(layer)
    torch.testing.assert_close(layer(x), x @ expected.float().T, rtol=2e-3, atol=2e-2)


def test_double_quantization_survives_another_weight(weight: Tensor) -> None:
    layer = four_bits(weight, double=True)
    set_quantized(layer, 2 * weight)
    assert layer.weight.quant_state.nested
    assert torch.equal(unpacked_weight(layer), round_trip(layer, 2 * weight))


def test_plain_and_foreign_layers_cannot_be_quantized_again() -> None:
    with pytest.raises(ModelError, match="plain"):
        set_quantized(nn.Linear(4, 4), torch.zeros(4, 4))


def test_conv1d_is_known_to_be_stored_transposed_after_quantization(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "gpt2")
    model = load_in_bits(tmp_path, "gpt2")
    names = [name for name, layer in quantized_layers(model) if stored_transposed(layer)]
    assert len(names) == 8
    for name in names:
        gap = unpacked_weight(model.get_submodule(name)) - full.get_submodule(name).weight.T
        assert gap.norm() < 0.15 * full.get_submodule(name).weight.norm()


@pytest.mark.parametrize("quantization", ["nf4", "int8", "torchao_int8"])
def test_the_function_is_one_in_training_and_evaluation(tmp_path: Path, quantization: str) -> None:
    save_wide(tmp_path, "llama")
    model = load_in_bits(tmp_path, "llama", quantization)
    steady_quantized_layers(model)
    training = model.train()(**inputs_for("llama")).logits
    with torch.no_grad():
        evaluated = model.eval()(**inputs_for("llama")).logits
    again = model.train()(**inputs_for("llama")).logits
    assert torch.equal(training, evaluated)
    assert torch.equal(training, again)


def input_gradient(layer: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x)
    return gradient


@pytest.mark.parametrize("make", [four_bits, eight_bits])
def test_gradients_pass_after_an_evaluation_as_before(weight: Tensor, make: object) -> None:
    layer = nn.Sequential(make(torch.cat([weight, weight[:16]])))  # type: ignore[operator]
    steady_quantized_layers(layer)
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(2))
    before = input_gradient(layer.train(), x)
    with torch.no_grad():
        layer.eval()(x)
    assert torch.equal(input_gradient(layer.train(), x), before)
    full = unpacked_weight(layer[0]).float()
    torch.testing.assert_close(before, 2 * (x @ full.T) @ full, rtol=1e-2, atol=0.5)


def test_a_weight_that_was_repacked_is_refused(weight: Tensor) -> None:
    layer = nn.Sequential(four_bits(weight))
    layer[0].weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(ModelError, match="repacked the weight of 0"):
        steady_quantized_layers(layer)


def test_rows_that_are_not_whole_blocks_are_refused_on_a_cpu() -> None:
    layer = nn.Sequential(four_bits(torch.randn(64, 96)))
    with pytest.raises(ModelError, match="unpacks 0 wrongly"):
        steady_quantized_layers(layer)


def test_torchao_in_four_bits_is_refused() -> None:
    class Int4Tensor(nn.Parameter):
        pass

    Int4Tensor.__module__ = "torchao.quantization"
    layer = nn.Sequential(nn.Linear(4, 4))
    layer[0]._parameters["weight"] = Int4Tensor(torch.zeros(4, 4))
    with pytest.raises(ModelError, match="8 bits only"):
        steady_quantized_layers(layer)


def test_plain_layers_are_left_alone() -> None:
    model = tiny.build("bert", "sequence_classification")
    assert list(quantized_layers(model)) == []
    steady_quantized_layers(model)
    assert quantization_of(nn.LayerNorm(4)) is None
    assert quantization_of(nn.ReLU()) is None
