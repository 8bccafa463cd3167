"""The self-check lets every right start pass and stops every wrong one with the measured gap."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from balora.errors import SelfCheckError
from balora.teacher import check_adapter_start, check_agreement, probe_inputs, probe_logits
from balora.teacher.self_check import relative_gap
from tests.adapters.families import METHODS
from tests.support import tiny


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_right_start_passes(family: str, method: str) -> None:
    base = tiny.FAMILIES[family]()
    inputs = probe_inputs(base)
    truth = probe_logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(method=method, r=4))
    student = probe_logits(model, inputs)
    with adapters_off(model):
        teacher = probe_logits(model, inputs)
    assert check_agreement(student=student, teacher=teacher, base=truth, dtype=torch.float32) < 1e-5


def test_pefts_pissa_is_caught_as_a_wrong_teacher() -> None:
    base = tiny.build("llama")
    inputs = probe_inputs(base)
    truth = probe_logits(base, inputs)
    config = peft.LoraConfig(r=4, init_lora_weights="pissa", target_modules=["q_proj", "down_proj"])
    model = peft.get_peft_model(base, config)
    student = probe_logits(model, inputs)
    with adapters_off(model):
        teacher = probe_logits(model, inputs)
    with pytest.raises(SelfCheckError, match=r"the teacher differs from the pretrained model by 0\.\d+"):
        check_agreement(student=student, teacher=teacher, base=truth, dtype=torch.float32)
    with pytest.raises(SelfCheckError, match="the student at step 0 differs from the teacher"):
        check_agreement(student=student, teacher=teacher, dtype=torch.float32)


def test_the_gap_is_relative_to_large_logits_and_absolute_for_small_ones() -> None:
    assert relative_gap(torch.tensor([101.0]), torch.tensor([100.0])) == pytest.approx(0.01)
    assert relative_gap(torch.tensor([0.3]), torch.tensor([0.2])) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_never_passes(bad: float) -> None:
    with pytest.raises(SelfCheckError):
        check_agreement(student=torch.tensor([bad]), teacher=torch.tensor([bad]), dtype=torch.bfloat16)


def test_low_precision_is_given_its_rounding_and_a_tolerance_can_be_set() -> None:
    student, teacher = torch.tensor([1.003]), torch.tensor([1.0])
    check_agreement(student=student, teacher=teacher, dtype=torch.bfloat16)
    with pytest.raises(SelfCheckError):
        check_agreement(student=student, teacher=teacher, dtype=torch.float32)
    check_agreement(student=student, teacher=teacher, dtype=torch.float32, tolerance=0.1)


@pytest.mark.parametrize("head", ["causal_lm", "sequence_classification"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_probe_runs_without_a_padding_token(family: str, head: str) -> None:
    model = tiny.build(family, head, pad_token_id=None)
    assert torch.isfinite(probe_logits(model, probe_inputs(model))).all()


def test_the_probe_runs_on_t5_classifiers() -> None:
    model = tiny.build("t5", "sequence_classification")
    assert probe_logits(model, probe_inputs(model)).shape == (2, 2)


HEADS = {"t5": ["seq2seq_lm", "sequence_classification"], "llama": ["causal_lm", "sequence_classification"]}
HEADS |= {"gpt2": HEADS["llama"]} | {name: ["sequence_classification"] for name in ("bert", "roberta", "deberta-v2")}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("family", "head"), [(family, head) for family, heads in HEADS.items() for head in heads])
def test_a_right_start_passes_in_16_bits(family: str, head: str, method: str, dtype: torch.dtype) -> None:
    base = tiny.build(family, head, num_hidden_layers=4).to(dtype)
    inputs = probe_inputs(base)
    truth = probe_logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(method=method, r=4, alpha=16))
    student = probe_logits(model, inputs)
    with adapters_off(model):
        teacher = probe_logits(model, inputs)
    check_agreement(student=student, teacher=teacher, base=truth, dtype=dtype)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora"])
def test_adapters_that_changed_the_base_are_refused_by_their_configuration(start: str) -> None:
    """At rank 1 on few layers the gap can hide in the rounding of 16 bits."""
    config = peft.LoraConfig(r=1, init_lora_weights=start, target_modules=["q_proj"])
    with pytest.raises(SelfCheckError, match=r"init_lora_weights='.*prepare_model"):
        check_adapter_start(peft.get_peft_model(tiny.build("llama"), config))


@pytest.mark.parametrize("start", [True, "gaussian", "orthogonal"])
def test_adapters_that_left_the_base_alone_are_not(start: bool | str) -> None:
    config = peft.LoraConfig(r=2, init_lora_weights=start, target_modules=["q_proj"])
    check_adapter_start(peft.get_peft_model(tiny.build("llama"), config))
    check_adapter_start(attach_adapter(tiny.build("llama"), AdapterConfig(r=4)))
    check_adapter_start(tiny.build("llama"))


@pytest.mark.parametrize("shape", [(3, 5, 7), (11, 7), (7,), (0, 7)], ids=str)
def test_the_gap_in_chunks_is_the_gap(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    logits, reference = torch.randn(shape), torch.randn(shape) * 3
    whole = relative_gap(logits, reference)
    monkeypatch.setattr("balora.teacher.self_check.CHUNK_NUMBERS", 15)
    assert relative_gap(logits, reference) == whole
    if logits.numel():
        expected = (logits - reference).abs().max() / max(1.0, float(reference.abs().max()))
        assert whole == pytest.approx(float(expected))
        logits.view(-1)[-1] = float("nan")
        assert relative_gap(logits, reference) == float("inf")


def test_float64_is_compared_in_float64_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    small = torch.tensor([1.0 + 1e-12], dtype=torch.float64)
    assert relative_gap(small, torch.ones(1, dtype=torch.float64)) == pytest.approx(1e-12, rel=1e-3)
    monkeypatch.setattr(torch.Tensor, "double", lambda _: pytest.fail("some devices have no float64"))
    assert relative_gap(torch.ones(2, dtype=torch.bfloat16), torch.zeros(2)) == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"eos_token_id": 50256},
        {"eos_token_id": 95, "pad_token_id": 94},
        {"eos_token_id": [95, 0], "pad_token_id": 1},
        {"pad_token_id": -1},
        {"vocab_size": 3},
        {"vocab_size": 2, "eos_token_id": 1, "bos_token_id": 1},
    ],
    ids=str,
)
def test_the_probe_stays_inside_the_vocabulary(changes: dict[str, Any]) -> None:
    model = tiny.build("gpt2")
    if "vocab_size" in changes:
        model.resize_token_embeddings(changes["vocab_size"])
    for name, value in changes.items():
        setattr(model.config, name, value)
    ids = probe_inputs(model)["input_ids"]
    assert ids.min() >= 0
    assert ids.max() < model.get_input_embeddings().weight.shape[0]
    if "vocab_size" not in changes:
        assert not (ids == changes.get("pad_token_id", 0)).any()
