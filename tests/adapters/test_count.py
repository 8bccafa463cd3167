"""Counting: what papers report, computed from shapes."""

from __future__ import annotations

from pathlib import Path

from balora import prepare_model
from balora.adapters import AdapterConfig, attach_adapter, count_parameters
from tests.support import tiny
from tests.support.bits import load_in_bits, save_wide


def test_adapter_numbers_are_rank_times_both_sides() -> None:
    base = tiny.build("llama")
    sizes = [sum(base.get_submodule(f"model.layers.0.{name}").weight.shape) for name in PROJECTIONS]
    counts = count_parameters(attach_adapter(base, AdapterConfig(r=4)))
    assert counts.adapter == counts.anchor == 4 * tiny.LAYERS * sum(sizes)
    assert (counts.head, counts.trainable) == (0, counts.adapter)


def test_a_classifier_counts_its_head_apart_and_has_no_anchor_under_lora() -> None:
    base = tiny.build("bert", "sequence_classification")
    head = sum(p.numel() for p in base.classifier.parameters())
    counts = count_parameters(attach_adapter(base, AdapterConfig(method="lora", r=4)))
    assert (counts.head, counts.anchor) == (head, 0)


def test_dora_counts_its_magnitudes() -> None:
    lora = count_parameters(attach_adapter(tiny.build("llama"), AdapterConfig(method="lora", r=4)))
    base = tiny.build("llama")
    outputs = sum(base.get_submodule(f"model.layers.0.{name}").weight.shape[0] for name in PROJECTIONS)
    dora = count_parameters(attach_adapter(base, AdapterConfig(method="dora", r=4)))
    assert (dora.adapter, dora.head) == (lora.adapter + tiny.LAYERS * outputs, 0)


def test_full_fine_tuning_trains_all_of_it() -> None:
    counts = count_parameters(attach_adapter(tiny.build("llama"), AdapterConfig(method="full")))
    assert counts.trainable == counts.total
    assert "100.00 %" in str(counts)


PROJECTIONS = [f"self_attn.{n}_proj" for n in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]


def test_packed_weights_count_as_what_they_stand_for(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "llama")
    expected = sum(parameter.numel() for parameter in full.parameters())
    for start in ("anchor", "residual"):
        config = AdapterConfig(method="pissa", r=4, quantized_start=start)
        counts = count_parameters(prepare_model(load_in_bits(tmp_path, "llama"), config))
        assert counts.total - counts.adapter == expected
        assert counts.anchor == counts.adapter
