"""Errors that PEFT makes without a word around its starts, each shown not to happen here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file

from balora.adapters import METHODS, AdapterConfig, attach_adapter
from balora.adapters.starts.plan import Setting, refuse_quantized
from balora.errors import ModelError
from tests.adapters.families import LATER_METHODS, adapt, calibration_for, disturb, inputs_for, logits
from tests.support import tiny

HEADS = [("deberta-v2", {"pooler", "classifier"}), ("t5", {"classification_head"})]
ANCHORED = [name for name, method in METHODS.items() if method.anchored]


@pytest.mark.parametrize("method", ["pissa", "lora_ga"])
def test_a_randomised_start_comes_back_whatever_the_generator_says(method: str, tmp_path: Path) -> None:
    """Reloading pissa_niter_N in PEFT draws another projection."""
    changes: dict[str, Any] = {"svd": "randomized", "svd_iterations": 0} if method == "pissa" else {}
    model = adapt("llama", method, seed=3, **changes)
    disturb(model)
    model.save_pretrained(tmp_path)
    torch.manual_seed(12345)
    reloaded = peft.PeftModel.from_pretrained(tiny.build("llama"), tmp_path)
    inputs = inputs_for("llama")
    torch.testing.assert_close(logits(reloaded, inputs), logits(model, inputs), rtol=0, atol=1e-5)
    assert reloaded.peft_config["default"].init_lora_weights is True


@pytest.mark.parametrize("method", ANCHORED)
@pytest.mark.parametrize(
    ("family", "head"), [("deberta-v2", {"pooler", "classifier"}), ("t5", {"classification_head"})]
)
def test_the_head_is_in_the_file_and_comes_back(method: str, family: str, head: set[str], tmp_path: Path) -> None:
    """PEFT's conversion drops it; T5's head it would not even train."""
    base = tiny.build(family, "sequence_classification")
    inputs = {key: value for key, value in inputs_for(family).items() if not key.startswith("decoder")}
    inputs["input_ids"][:, -1] = 2
    sample = calibration_for("bert")
    for row in sample.rows:
        row["input_ids"][-1] = 2  # type: ignore[index]
    model = attach_adapter(base, AdapterConfig(method=method, r=2), calibration=sample)
    disturb(model)
    model.save_pretrained(tmp_path)
    saved = {name.split(".")[2] for name in load_file(tmp_path / "adapter_model.safetensors") if "lora_" not in name}
    assert saved == head
    reloaded = peft.PeftModel.from_pretrained(tiny.build(family, "sequence_classification"), tmp_path)
    torch.testing.assert_close(logits(reloaded, inputs), logits(model, inputs), rtol=0, atol=1e-5)


def test_magnitudes_are_in_the_file_and_come_back(tmp_path: Path) -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method="dora", r=2))
    disturb(model)
    model.save_pretrained(tmp_path)
    assert len([n for n in load_file(tmp_path / "adapter_model.safetensors") if "lora_magnitude_vector" in n]) == 14
    reloaded = peft.PeftModel.from_pretrained(tiny.build("llama"), tmp_path)
    inputs = inputs_for("llama")
    torch.testing.assert_close(logits(reloaded, inputs), logits(model, inputs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.low_rank])
def test_embeddings_are_refused(method: str) -> None:
    """PEFT starts them as plain LoRA under every start, even under one that does not exist."""
    config = AdapterConfig(method=method, r=2, target_modules=["embed_tokens"])
    with pytest.raises(ModelError, match="no linear layer is named 'embed_tokens'"):
        attach_adapter(tiny.build("llama"), config, calibration=calibration_for("llama"))


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.low_rank])
def test_a_rank_above_the_smaller_side_is_refused(method: str) -> None:
    """PEFT cuts the factors and keeps the scaling of the rank that was asked for."""
    config = AdapterConfig(method=method, r=17)
    with pytest.raises(ModelError, match=r"rank \d+ exceeds the smaller side"):
        attach_adapter(tiny.build("llama"), config, calibration=calibration_for("llama"))


class Params4bit(torch.nn.Parameter):
    """Stands in for bitsandbytes' packed weights, which may be stored as floats (quant_storage)."""


@pytest.mark.parametrize("method", ["corda", "corda++", "lora_ga"])
def test_packed_weights_that_look_like_floats_are_refused(method: str) -> None:
    """PEFT's guards go by the number format, and its starts then work on packed nibbles."""
    base = tiny.build("llama")
    layer = base.model.layers[0].mlp.up_proj
    layer.weight = Params4bit(layer.weight.detach(), requires_grad=False)
    with pytest.raises(ModelError, match=r"needs weights in 16 or 32 bits, and model\.layers\.0\.mlp\.up_proj is quan"):
        attach_adapter(base, AdapterConfig(method=method, r=2), calibration=calibration_for("llama"))
    whole = Setting(tiny.build("llama"), ("model.layers.0.mlp.up_proj",), AdapterConfig(method=method), None)
    refuse_quantized(whole, method)


def test_a_second_start_never_meets_a_changed_base() -> None:
    """PEFT starts a second adapter on the residual of the first."""
    model = adapt("llama", "olora")
    with pytest.raises(ModelError, match="has a LoRA adapter already"):
        attach_adapter(model.get_base_model(), AdapterConfig(method="olora", r=2))
    for method in ("bitfit", "houlsby"):
        adapted = adapt("bert", method)
        with pytest.raises(ModelError, match="adapter already"):
            attach_adapter(adapted, AdapterConfig(method="lora", r=2))


@pytest.mark.parametrize("method", sorted(LATER_METHODS))
def test_starts_leave_the_global_generator_alone(method: str) -> None:
    torch.manual_seed(5)
    base, state = tiny.FAMILIES["gpt2"](), torch.get_rng_state()
    adapt("gpt2", method, base)
    assert torch.equal(torch.get_rng_state(), state)
