"""Factors computed from a checkpoint alone are those that a run computes from the loaded model."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch
import transformers

from balora import AdapterConfig, prepare_model
from balora.adapters import (
    CheckpointWeights,
    FactorCache,
    adapted_layers,
    attach_adapter,
    quantization_errors,
    stream_factors,
)
from balora.errors import ModelError
from balora.models import ModelSettings, build_empty_model
from balora.task import Task
from tests.support import tiny
from tests.support.bits import HEADS, load_in_bits, save_wide


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FactorCache:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))
    return FactorCache(tmp_path / "cache" / "factors")


def empty(folder: Path, task: Task) -> transformers.PreTrainedModel:
    return build_empty_model(ModelSettings(name_or_path=str(folder)), task, label_names=["no", "yes"])


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "t5"])
def test_a_run_after_it_takes_no_svd(
    family: str, tmp_path: Path, cache: FactorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.build(family, HEADS[family][0])
    model.save_pretrained(tmp_path / "model", max_shard_size="30KB")
    config = AdapterConfig(method="pissa", r=4, alpha=8, svd="randomized", svd_cache=True)
    done = list(stream_factors(empty(tmp_path / "model", HEADS[family][1]), config, cache))
    assert done
    assert not any(layer.known for layer in done)
    expected = attach_adapter(model, config.with_changes(svd_cache=False), HEADS[family][1]).state_dict()
    monkeypatch.setattr(torch.linalg, "svd", None)
    found = attach_adapter(tiny.build(family, HEADS[family][0]), config, HEADS[family][1]).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    again = list(stream_factors(empty(tmp_path / "model", HEADS[family][1]), config, cache))
    assert all(layer.known for layer in again)


def test_a_run_in_another_number_format_finds_its_own(
    tmp_path: Path, cache: FactorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.build("llama").save_pretrained(tmp_path)
    config = AdapterConfig(method="pissa", r=4, svd_cache=True)
    list(stream_factors(empty(tmp_path, "generation"), config, cache, dtype=torch.bfloat16))
    monkeypatch.setattr(torch.linalg, "svd", None)
    attach_adapter(transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16), config)


def test_the_start_at_the_residual_finds_its_first_factors(
    tmp_path: Path, cache: FactorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_wide(tmp_path, "llama")
    config = AdapterConfig(method="pissa", r=4, svd_cache=True, quantized_start="residual")
    list(stream_factors(empty(tmp_path, "generation"), config, cache))
    monkeypatch.setattr(torch.linalg, "svd", None)
    prepare_model(load_in_bits(tmp_path, "llama"), config)


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many weights of the checkpoint were still referred to, at each time that one was read."""
    read, weights, counts = CheckpointWeights.read, [], []

    def watched(self: CheckpointWeights, layer: str, *, transposed: bool = False) -> torch.Tensor:
        counts.append(sum(reference() is not None for reference in weights))
        weight = read(self, layer, transposed=transposed)
        weights.append(weakref.ref(weight))
        return weight

    monkeypatch.setattr(CheckpointWeights, "read", watched)
    return counts


def test_one_weight_is_in_memory_at_a_time(tmp_path: Path, cache: FactorCache, alive: list[int]) -> None:
    tiny.build("llama").save_pretrained(tmp_path, max_shard_size="30KB")
    list(stream_factors(empty(tmp_path, "generation"), AdapterConfig(method="pissa", r=2), cache))
    assert alive == [0] * 14


def test_a_quantized_start_and_its_error_hold_one_weight_at_a_time(tmp_path: Path, alive: list[int]) -> None:
    save_wide(tmp_path, "llama")
    config = AdapterConfig(method="pissa", r=2, quantized_start="residual")
    adapted = prepare_model(load_in_bits(tmp_path, "llama"), config)
    quantization_errors(adapted_layers(adapted), CheckpointWeights.of(adapted.get_base_model()))
    assert alive == [0] * 28


def test_other_methods_have_no_factors_to_compute(tmp_path: Path, cache: FactorCache) -> None:
    tiny.build("llama").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="does not start at principal factors"):
        list(stream_factors(empty(tmp_path, "generation"), AdapterConfig(method="lora", r=2), cache))
