"""The self-check lets every right start pass and stops every wrong one with the measured gap."""

from __future__ import annotations

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from balora.errors import SelfCheckError
from balora.teacher import check_agreement, probe_inputs, probe_logits
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
    student, teacher = torch.tensor([1.01]), torch.tensor([1.0])
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
