"""Loading in few bits: what stays as it is, what is refused, what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import balora.models.quantization
from balora.errors import ModelError
from balora.models import ModelSettings, load_config, load_model, load_tokenizer, quantization_problem
from balora.models.quantization import compute_dtype, inputs_of, is_quantized, unquantized_layers
from tests.support import tiny
from tests.support.bits import HEADS, load_in_bits, save_wide


def settings(folder: Path, **changes: object) -> ModelSettings:
    return ModelSettings(name_or_path=str(folder), **changes)  # type: ignore[arg-type]


def linear(model: nn.Module) -> dict[str, nn.Module]:
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"
    }


@pytest.mark.parametrize("quantization", ["nf4", "int8", "torchao_int8"])
@pytest.mark.parametrize("family", sorted(set(HEADS) - {"gpt2", "t5"}))
def test_the_blocks_are_quantized_and_heads_and_poolers_are_not(tmp_path: Path, family: str, quantization: str) -> None:
    save_wide(tmp_path, family)
    model = load_in_bits(tmp_path, family, quantization)
    for name, layer in linear(model).items():
        assert is_quantized(layer) == any(part.isdigit() for part in name.split(".")), name


def test_a_fresh_head_starts_as_it_does_without_quantization(tmp_path: Path) -> None:
    tiny.build("bert", "sequence_classification", hidden_size=64, intermediate_size=128).base_model.save_pretrained(
        tmp_path
    )
    tiny.character_tokenizer().save_pretrained(tmp_path)
    model = load_in_bits(tmp_path, "bert")
    assert type(model.classifier) is nn.Linear
    assert 0 < model.classifier.weight.std() < 0.1


def test_rows_that_are_no_whole_blocks_stay_and_are_told(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama", intermediate_size=96)
    loaded = load_model(
        settings(tmp_path, quantization="nf4"), "generation", tokenizer=load_tokenizer(settings(tmp_path))
    )
    kept = [name for name, layer in linear(loaded.model).items() if not is_quantized(layer)]
    assert kept == ["model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj", "lm_head"]
    (note,) = loaded.notes
    assert "2 of 14 linear layers are not quantized" in note
    assert "down_proj" in note
    assert unquantized_layers(loaded.model, "int8") == ["lm_head"]


@pytest.mark.parametrize(("family", "quantization", "fix"), [("gpt2", "torchao_int8", "nf4"), ("llama", "nf4", "int8")])
def test_a_model_that_nothing_fits_is_refused(tmp_path: Path, family: str, quantization: str, fix: str) -> None:
    save_wide(tmp_path, family, **({"hidden_size": 32, "intermediate_size": 48} if family == "llama" else {}))
    with pytest.raises(ModelError, match=f"fits none of the .* use {fix}"):
        load_in_bits(tmp_path, family, quantization)


def test_what_belongs_to_nf4_reaches_its_layers(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    chosen = {"quantization_compute_dtype": "bfloat16", "double_quantization": True, "dtype": "float32"}
    model = load_in_bits(tmp_path, "llama", "nf4", **chosen)
    layer = model.model.layers[0].mlp.up_proj
    assert layer.compute_dtype == torch.bfloat16
    assert layer.weight.quant_state.nested
    assert layer.weight.dtype == torch.uint8
    assert model.lm_head.weight.dtype == torch.float32


def test_products_are_in_the_format_of_the_other_weights(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama")
    config = load_config(settings(tmp_path))
    assert compute_dtype(settings(tmp_path), config) == torch.float32
    assert compute_dtype(settings(tmp_path, dtype="bfloat16"), config) == torch.bfloat16
    config.dtype = torch.float16
    assert compute_dtype(settings(tmp_path), config) == torch.float16
    assert compute_dtype(settings(tmp_path, quantization_compute_dtype="float32"), config) == torch.float32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"double_quantization": True}, "model.quantization is not set"),
        ({"quantization": "int8", "double_quantization": True}, "apply to nf4 only"),
        ({"quantization": "torchao_int8", "quantization_compute_dtype": "bfloat16"}, "apply to nf4 only"),
    ],
)
def test_settings_that_have_no_effect_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    problem = quantization_problem(settings(tmp_path, **changes))
    assert problem is not None
    assert said in problem.what
    assert quantization_problem(settings(tmp_path)) is None
    assert quantization_problem(settings(tmp_path, quantization="nf4", double_quantization=True)) is None


@pytest.mark.parametrize(("name", "package"), [("nf4", "bitsandbytes"), ("torchao_int8", "torchao")])
def test_a_missing_package_comes_with_the_line_that_installs_it(
    tmp_path: Path, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_wide(tmp_path, "llama")
    monkeypatch.setattr(balora.models.quantization, "is_installed", lambda wanted: wanted != package)
    with pytest.raises(ModelError, match=f"needs the package {package}.*pip install 'balora\\[quant\\]'"):
        load_in_bits(tmp_path, "llama", name)


def test_inputs_of_transposed_layers() -> None:
    layers = [layer for layer in linear(tiny.build("gpt2")).values() if type(layer).__name__ == "Conv1D"]
    assert {inputs_of(layer) for layer in layers} == {32, 48}  # type: ignore[arg-type]
