"""Reading a checkpoint one tensor at a time gives the weights that transformers loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from balora import AdapterConfig, prepare_model
from balora.adapters import CheckpointWeights
from balora.adapters.checkpoint_weights import plain_name, safetensors_files
from balora.adapters.quantized import stored_transposed
from balora.adapters.targets import linear_layers
from balora.errors import ModelError
from balora.models import ModelSettings, build_empty_model
from tests.support import tiny
from tests.support.bits import HEADS, load_in_bits, save_wide

LOADERS = {
    "causal_lm": transformers.AutoModelForCausalLM,
    "seq2seq_lm": transformers.AutoModelForSeq2SeqLM,
    "sequence_classification": transformers.AutoModelForSequenceClassification,
}


def assert_reads_all(model: transformers.PreTrainedModel, *, without: str = "-") -> None:
    weights = CheckpointWeights.of(model)
    layers = {name: layer for name, layer in linear_layers(model).items() if without not in name}
    assert len(layers) >= 4
    for name, layer in layers.items():
        stored = stored_transposed(layer)
        expected = layer.weight.T if stored else layer.weight
        assert torch.equal(weights.read(name, transposed=stored), expected), name


@pytest.mark.parametrize("family", sorted(HEADS))
@pytest.mark.parametrize("shards", [False, True])
def test_every_linear_layer_is_read_as_it_is_loaded(tmp_path: Path, family: str, shards: bool) -> None:
    model = tiny.build(family, HEADS[family][0])
    model.save_pretrained(tmp_path, max_shard_size="30KB" if shards else "5GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == shards
    assert len(safetensors_files(str(tmp_path))) > shards
    assert_reads_all(LOADERS[HEADS[family][0]].from_pretrained(tmp_path))


def test_a_body_fits_under_a_head_and_the_other_way_round(tmp_path: Path) -> None:
    model = tiny.build("roberta", "sequence_classification")
    model.base_model.save_pretrained(tmp_path / "body")
    model.save_pretrained(tmp_path / "whole")
    headed = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "body")
    assert_reads_all(headed, without="classifier")
    assert not CheckpointWeights.of(headed).holds("classifier.dense")
    assert_reads_all(transformers.AutoModel.from_pretrained(tmp_path / "whole"), without="pooler")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_tied_head_is_the_embedding(tmp_path: Path, family: str) -> None:
    tiny.build(family, tie_word_embeddings=True).save_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    assert torch.equal(CheckpointWeights.of(model).read("lm_head"), model.get_input_embeddings().weight)


def test_names_are_the_same_with_adapters_and_without_weights(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "llama")
    adapted = prepare_model(load_in_bits(tmp_path, "llama"), AdapterConfig(method="lora", r=2))
    empty = build_empty_model(ModelSettings(name_or_path=str(tmp_path)), "generation")
    for weights in (CheckpointWeights.of(adapted.get_base_model()), CheckpointWeights.of(empty)):
        read = weights.read("model.layers.1.mlp.up_proj")
        assert torch.equal(read, full.get_submodule("model.layers.1.mlp.up_proj").weight)
    assert plain_name("base_model.model.classifier.original_module.weight") == "classifier.weight"


def test_what_is_not_there_or_not_whole_is_said(tmp_path: Path) -> None:
    model = save_wide(tmp_path, "llama")
    weights = CheckpointWeights.of(model)
    with pytest.raises(ModelError, match="holds no weight for model\\.nowhere"):
        weights.read("model.nowhere")
    (tmp_path / "model.safetensors").write_bytes(b"\x10" * 40)
    with pytest.raises(ModelError, match="cannot be read"):
        weights.read("model.layers.0.mlp.up_proj")
    with pytest.raises(ModelError, match="cannot be read"):
        CheckpointWeights.of(model)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has no safetensors files"):
        CheckpointWeights.of(model)
    model.name_or_path = ""
    with pytest.raises(ModelError, match="was not loaded from a checkpoint"):
        CheckpointWeights.of(model)


def test_a_quantized_checkpoint_is_no_source(tmp_path: Path) -> None:
    save_wide(tmp_path / "full", "llama")
    load_in_bits(tmp_path / "full", "llama").save_pretrained(tmp_path / "packed")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "packed")
    with pytest.raises(ModelError, match="no full-precision matrix"):
        CheckpointWeights.of(model).read("model.layers.0.mlp.up_proj")


def test_a_shard_that_is_missing_is_said(tmp_path: Path) -> None:
    tiny.build("llama").save_pretrained(tmp_path, max_shard_size="30KB")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    (tmp_path / index["weight_map"]["model.layers.0.mlp.up_proj.weight"]).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        CheckpointWeights.of(model)


def test_other_matrices_than_weights_are_refused(tmp_path: Path) -> None:
    save_file({"a.weight": torch.zeros(3), "b.weight": torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    weights = CheckpointWeights(
        "x", dict.fromkeys(("a.weight", "b.weight"), tmp_path / "x.safetensors"), {"a.weight": "a.weight"}
    )
    with pytest.raises(ModelError, match="no full-precision matrix"):
        weights.read("a")
