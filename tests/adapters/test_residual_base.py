"""The base that a run at the residual brings along loads with stock transformers and PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from balora import AdapterConfig, prepare_model
from balora.adapters import RESIDUAL_BASE, adapter_only, save_residual_base, steady_quantized_layers
from tests.support.bits import HEADS, inputs_for, load_in_bits, nudge, save_wide

LOADERS: dict[str, Any] = {
    "causal_lm": transformers.AutoModelForCausalLM,
    "seq2seq_lm": transformers.AutoModelForSeq2SeqLM,
    "sequence_classification": transformers.AutoModelForSequenceClassification,
}


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llama", {"quantization": "nf4", "double_quantization": True}),
        ("llama", {"quantization": "int8"}),
        ("gpt2", {"quantization": "nf4"}),
        ("t5", {"quantization": "nf4"}),
        ("bert", {"quantization": "nf4"}),
    ],
)
def test_stock_libraries_compute_the_trained_function(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    head, task = HEADS[family]
    save_wide(tmp_path / "base", family)
    loaded = load_in_bits(tmp_path / "base", family, **settings)
    trained = prepare_model(loaded, AdapterConfig(method="pissa", r=4, quantized_start="residual"), task=task).eval()
    nudge(trained)
    with torch.no_grad():
        expected = trained(**inputs_for(family)).logits
    out = tmp_path / "out"
    with adapter_only(trained):
        trained.save_pretrained(tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint" / RESIDUAL_BASE).exists()
    trained.save_pretrained(out)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (4, str(out / RESIDUAL_BASE))
    base, info = LOADERS[head].from_pretrained(out / RESIDUAL_BASE, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    again = peft.PeftModel.from_pretrained(base, out).eval()
    # On a CPU bitsandbytes rounds in evaluation mode; ours does not, and a GPU has neither.
    steady_quantized_layers(again)
    with torch.no_grad():
        assert torch.equal(again(**inputs_for(family)).logits, expected)


def test_an_ordinary_base_is_not_saved(tmp_path: Path) -> None:
    save_wide(tmp_path / "base", "llama")
    model = prepare_model(load_in_bits(tmp_path / "base", "llama"), AdapterConfig(method="pissa", r=4))
    assert save_residual_base(model, tmp_path / "out") is None  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
