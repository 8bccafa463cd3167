"""Which weights student and teacher multiply by, for every kind of head."""

from __future__ import annotations

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from balora.teacher import probe_inputs, probe_logits, transformers_model
from balora.training.head import find_head, headless
from tests.adapters.families import disturb
from tests.support import tiny

HEADS = {
    "frozen": AdapterConfig(r=4),
    "in full": AdapterConfig(r=4, modules_to_save=["lm_head"]),
    "pissa": AdapterConfig(r=4, target_modules=["lm_head", "q_proj"]),
    "folded": AdapterConfig(r=4, fold_anchor=True, target_modules=["lm_head", "q_proj"]),
    "lora": AdapterConfig(method="lora", r=4, alpha=8, target_modules=["lm_head", "q_proj"]),
    "rslora": AdapterConfig(method="rslora", r=4, alpha=8, target_modules=["lm_head", "q_proj"]),
}


@pytest.mark.parametrize("kind", HEADS)
def test_states_times_its_weights_are_the_logits_of_student_and_teacher(kind: str) -> None:
    """After training has moved the head; at the start a wrong scaling would not show."""
    model = attach_adapter(tiny.build("llama", tie_word_embeddings=False), HEADS[kind])
    disturb(model)
    base = transformers_model(model)
    head, reason = find_head(base)
    assert head is not None
    assert reason == ""
    assert head.trained == (kind != "frozen")
    assert head.width == tiny.HIDDEN_SIZE
    inputs = probe_inputs(base)
    with headless(base):
        states = probe_logits(base, inputs)
    assert states.shape[-1] == tiny.HIDDEN_SIZE
    torch.testing.assert_close(states @ head.student()[0].T, probe_logits(base, inputs), rtol=1e-4, atol=1e-4)
    with adapters_off(model):
        with headless(base):
            states = probe_logits(base, inputs)
        torch.testing.assert_close(states @ head.start()[0].T, probe_logits(base, inputs), rtol=1e-4, atol=1e-4)
    if kind != "frozen":
        assert (head.student()[0] - head.start()[0]).abs().max() > 1e-3


def test_magnitudes_are_no_single_weight() -> None:
    config = AdapterConfig(method="dora", r=4, target_modules=["lm_head", "q_proj"])
    head, reason = find_head(transformers_model(attach_adapter(tiny.build("llama"), config)))
    assert head is None
    assert "magnitudes" in reason


def test_the_bound_on_logits_is_off_inside_and_comes_back() -> None:
    base = tiny.build("gemma2", final_logit_softcapping=2.0)

    def fail(*_args: object) -> None:
        assert base.config.final_logit_softcapping is None
        raise RuntimeError("stop")

    with base.model.register_forward_pre_hook(fail), pytest.raises(RuntimeError, match="stop"), headless(base):
        base(torch.ones(1, 2, dtype=torch.long))
    assert base.config.final_logit_softcapping == 2.0
    assert probe_logits(base, probe_inputs(base)).abs().max() <= 2.0


@pytest.mark.filterwarnings("ignore:.lora_bias=True. was passed")
def test_an_adapter_with_a_bias_is_no_single_weight() -> None:
    config = peft.LoraConfig(r=2, target_modules=["lm_head"], lora_bias=True, task_type="CAUSAL_LM")
    head, reason = find_head(transformers_model(peft.get_peft_model(tiny.build("llama"), config)))
    assert head is None
    assert "bias" in reason
