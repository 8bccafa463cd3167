"""Counting: what papers report, computed from shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora import prepare_model
from balora.adapters import METHODS, AdapterConfig, attach_adapter, count_parameters
from tests.adapters.families import adapt
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


def meta_model(family: str, head: str, **shape: Any) -> Any:
    """A model of a real size without its numbers."""
    with torch.device("meta"):
        maker = getattr(transformers, head)
        return maker.from_config(transformers.AutoConfig.for_model(family, **shape))


LLAMA_2_7B = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
DEBERTA_V3_BASE = {
    "vocab_size": 128100,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "type_vocab_size": 0,
}


@pytest.mark.parametrize(
    ("method", "expected"), [("lora", 319_815_680), ("loraplus", 319_815_680), ("dora", 319_815_680 + 1_359_872)]
)
def test_llama_2_7b_at_rank_128_counts_as_in_the_papers(method: str, expected: int) -> None:
    """319.8 M for all linear layers."""
    base = meta_model("llama", "AutoModelForCausalLM", **LLAMA_2_7B)
    with torch.device("meta"):
        counts = count_parameters(attach_adapter(base, AdapterConfig(method=method, r=128)))
    assert counts.adapter == expected
    assert round(counts.total / 1e9, 2) == round((6_738_415_616 + expected) / 1e9, 2)


@pytest.mark.parametrize(
    ("method", "changes", "millions"),
    [
        ("lora", {"r": 8}, 1.33),
        ("adalora", {"r": 8, "adalora_initial_rank": 12}, 1.99),
        ("houlsby", {"bottleneck": 32}, 1.20),
        ("pfeiffer", {"bottleneck": 64}, 1.19),
        ("bitfit", {}, 0.10),
    ],
)
def test_deberta_v3_base_counts_as_in_the_papers(method: str, changes: dict[str, Any], millions: float) -> None:
    """1.33 M for LoRA of rank 8 on all six linear layers; the tables of AdaLoRA for the rest, task heads apart."""
    base = meta_model("deberta-v2", "AutoModelForSequenceClassification", **DEBERTA_V3_BASE)
    with torch.device("meta"):
        counts = count_parameters(attach_adapter(base, AdapterConfig(method=method, **changes)))
    assert round(counts.adapter / 1e6, 2) == millions


@pytest.mark.parametrize("method", ["lora_fa", "milora", "corda++", "eva", "bitfit", "houlsby", "pfeiffer", "adalora"])
def test_what_trains_is_counted_once_as_adapter_or_head(method: str) -> None:
    model = adapt("bert", method)
    counts = count_parameters(model)
    assert counts.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert counts.head == sum(p.numel() for p in tiny.FAMILIES["bert"]().classifier.parameters())
    assert (counts.anchor > 0) == METHODS[method].anchored


def test_packed_weights_count_as_what_they_stand_for(tmp_path: Path) -> None:
    full = save_wide(tmp_path, "llama")
    expected = sum(parameter.numel() for parameter in full.parameters())
    for start in ("anchor", "residual"):
        config = AdapterConfig(method="pissa", r=4, quantized_start=start)
        counts = count_parameters(prepare_model(load_in_bits(tmp_path, "llama"), config))
        assert counts.total - counts.adapter == expected
        assert counts.anchor == counts.adapter
