"""What trains is float32 on 16-bit models too, every layer's format fits, and student and teacher agree at step 0."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.lora.layer import LoraLayer

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from tests.adapters.families import METHODS, inputs_for, logits
from tests.support import tiny

FAMILIES = ["bert", "roberta", "deberta-v2", "llama", "gpt2", "t5"]
HALVES = [torch.bfloat16, torch.float16]


def classifier(family: str, dtype: torch.dtype) -> torch.nn.Module:
    return tiny.build(family, "sequence_classification", num_labels=3).to(dtype)


def inputs(family: str) -> dict[str, torch.Tensor]:
    batch = {key: value for key, value in inputs_for(family).items() if key != "decoder_input_ids"}
    batch["input_ids"][:, -1] = 2  # T5 reads the state at the end token.
    return batch


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_trains_in_float32_and_starts_at_the_teacher(family: str, dtype: torch.dtype, autocast: bool) -> None:
    base = classifier(family, dtype)
    batch = inputs(family)
    truth = logits(copy.deepcopy(base), batch)
    model = attach_adapter(base, AdapterConfig(r=4))
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    with torch.autocast("cpu", dtype=dtype) if autocast else nullcontext():
        student = logits(model, batch)
        with adapters_off(model):
            teacher = logits(model, batch)
        loss = model(**batch).logits.float().square().sum()
    assert (student.float() - teacher.float()).abs().max() <= 1e-3 * teacher.float().abs().max()
    torch.testing.assert_close(teacher.float(), truth.float(), rtol=0.02, atol=0.02)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_small_step_is_not_lost(dtype: torch.dtype, method: str) -> None:
    """In bfloat16 an update of 1e-5 on a weight of 0.1 rounds to nothing."""
    model = attach_adapter(classifier("bert", dtype), AdapterConfig(method=method, r=4))
    for parameter in (p for p in model.parameters() if p.requires_grad):
        before = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(1e-5)
        assert (parameter != before).all()


@pytest.mark.parametrize("saved", [["embed_tokens"], ["lm_head"], ["norm"], ["embed_tokens", "lm_head"]], ids=str)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_modules_that_frozen_layers_read_give_the_format_of_the_base(dtype: torch.dtype, saved: list[str]) -> None:
    model = attach_adapter(tiny.build("llama").to(dtype), AdapterConfig(r=4, modules_to_save=saved))
    batch = inputs_for("llama")
    student = logits(model, batch)
    with adapters_off(model):
        teacher = logits(model, batch)
    assert (student.float() - teacher.float()).abs().max() <= 5e-3 * teacher.float().abs().max()


def test_the_saved_head_loads_in_stock_peft(tmp_path: Path) -> None:
    base = classifier("roberta", torch.bfloat16)
    fresh = copy.deepcopy(base)
    model = attach_adapter(base, AdapterConfig(r=4))
    with torch.no_grad():
        model.base_model.model.classifier.modules_to_save["default"].out_proj.weight.add_(0.25)
    model.save_pretrained(tmp_path)
    elsewhere = peft.PeftModel.from_pretrained(fresh, tmp_path)
    expected = logits(model, inputs("roberta"))
    torch.testing.assert_close(logits(elsewhere, inputs("roberta")).float(), expected.float(), rtol=0.02, atol=0.02)


def test_modules_in_float32_get_no_hooks() -> None:
    """Anchored layers have one of their own."""
    model = attach_adapter(classifier("bert", torch.float32), AdapterConfig(r=4))
    hooked = [module for module in model.modules() if module._forward_pre_hooks]
    assert all(isinstance(module, LoraLayer) for module in hooked)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_copies_and_merged_models_still_run(dtype: torch.dtype) -> None:
    model = attach_adapter(classifier("deberta-v2", dtype), AdapterConfig(r=4))
    expected = logits(model, inputs("deberta-v2"))
    assert torch.equal(logits(copy.deepcopy(model), inputs("deberta-v2")), expected)
    merged = logits(model.merge_and_unload(), inputs("deberta-v2"))
    torch.testing.assert_close(merged, expected, rtol=0.02, atol=0.02)
