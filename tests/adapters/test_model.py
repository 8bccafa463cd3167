"""Saving: what lands on disk is plain LoRA that stock PEFT loads on the unmodified base."""

from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file

from balora.adapters import AdapterConfig, attach_adapter
from balora.errors import ModelError
from tests.adapters.families import METHODS, disturb, inputs_for, logits
from tests.support import tiny


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_stock_peft_computes_the_trained_function(family: str, method: str, tmp_path: Path) -> None:
    inputs = inputs_for(family)
    model = attach_adapter(tiny.FAMILIES[family](), AdapterConfig(method=method, r=4, alpha=6))
    disturb(model)
    trained = logits(model, inputs)
    model.save_pretrained(tmp_path)
    reloaded = peft.PeftModel.from_pretrained(tiny.FAMILIES[family](), tmp_path)
    torch.testing.assert_close(logits(reloaded, inputs), trained, rtol=0, atol=1e-5)


def test_the_saved_configuration_is_plain_lora_of_twice_the_rank(tmp_path: Path) -> None:
    model = attach_adapter(tiny.build("bert", "sequence_classification"), AdapterConfig(r=4, alpha=6))
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["init_lora_weights"]) == (8, 12, True)
    assert len(config["modules_to_save"]) == len(set(config["modules_to_save"]))
    assert model.peft_config["default"].r == 4, "saving must not change the model in training"
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert any(name.endswith("classifier.weight") for name in saved)
    assert not any("anchor" in name for name in saved)


def test_methods_without_an_anchor_keep_their_rank(tmp_path: Path) -> None:
    attach_adapter(tiny.build("llama"), AdapterConfig(method="dora", r=4)).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["use_dora"]) == (4, True)


def test_saving_twice_gives_the_same_file(tmp_path: Path) -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    for folder in ("a", "b"):
        model.save_pretrained(tmp_path / folder)
    first, second = ((tmp_path / f / "adapter_model.safetensors").read_bytes() for f in ("a", "b"))
    assert first == second


def test_a_saved_adapter_is_not_loaded_over_the_anchored_one(tmp_path: Path) -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    disturb(model)
    trained = logits(model, inputs_for("llama"))
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="anchored"):
        model.load_adapter(tmp_path, "default")
    model.load_adapter(tmp_path, "saved")
    model.set_adapter("saved")
    torch.testing.assert_close(logits(model, inputs_for("llama")), trained, rtol=0, atol=1e-5)
