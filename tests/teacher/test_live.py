"""The live teacher is the pretrained model: same numbers, no dropout, no gradient, no traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from balora.adapters import AdapterConfig, attach_adapter
from balora.teacher import FrozenCopyTeacher, LiveTeacher, UntrainedTeacher, evaluation_mode
from tests.adapters.families import METHODS, disturb, inputs_for, logits
from tests.support import tiny


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_it_answers_as_the_pretrained_model_while_the_student_trains(family: str, method: str) -> None:
    base = tiny.FAMILIES[family](**({"hidden_dropout_prob": 0.3} if "bert" in family else {}))
    inputs = inputs_for(family)
    truth = logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(method=method, r=4, dropout=0.3)).train()
    disturb(model)
    answer = LiveTeacher().logits(model, inputs)
    assert torch.equal(answer, truth)
    assert not answer.requires_grad


def test_it_is_not_the_residual() -> None:
    """What PEFT's disable_adapter would give under PEFT's own PiSSA."""
    base = tiny.build("llama")
    inputs = inputs_for("llama")
    truth = logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(r=8))
    assert (LiveTeacher().logits(model, inputs) - truth).abs().max() == 0


def test_every_module_is_in_its_mode_again() -> None:
    model = attach_adapter(tiny.build("roberta", "sequence_classification"), AdapterConfig(r=4)).train()
    frozen = model.base_model.model.roberta.embeddings.eval()
    LiveTeacher().logits(model, inputs_for("roberta"))
    assert model.training
    assert not frozen.training
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(model):
        raise RuntimeError("stop")
    assert model.training


def test_it_draws_no_random_numbers() -> None:
    """Otherwise the regularizers would change the student's dropout."""
    model = attach_adapter(tiny.FAMILIES["bert"](hidden_dropout_prob=0.5), AdapterConfig(r=4)).train()
    before = torch.get_rng_state()
    LiveTeacher().logits(model, inputs_for("bert"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_frozen_copy_stays_where_it_was_taken() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method="full")).train()
    inputs = inputs_for("llama")
    truth = logits(model, inputs)
    copy, itself = FrozenCopyTeacher(model), UntrainedTeacher()
    assert torch.equal(itself.logits(model.train(), inputs), truth)
    disturb(model)
    assert torch.equal(copy.logits(model, inputs), truth)
    assert not torch.equal(itself.logits(model, inputs), truth)
    assert not any(parameter.requires_grad for parameter in copy.copy.parameters())


@pytest.fixture
def _own_accelerator_state() -> Iterator[None]:
    """accelerate keeps one state per process; without this the first trainer's precision would count."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_own_accelerator_state")
@pytest.mark.parametrize("prepared_first", [False, True], ids=["copied first", "prepared first"])
def test_a_frozen_copy_runs_under_the_students_autocast(prepared_first: bool) -> None:
    """accelerate patches the model's forward, before or after the copy is taken."""
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method="full")).eval()
    inputs = inputs_for("llama")
    exact = logits(model, inputs)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    teacher = None if prepared_first else FrozenCopyTeacher(model)
    wrapped = accelerator.prepare_model(model).eval()
    teacher = teacher or FrozenCopyTeacher(wrapped)
    student = logits(wrapped, inputs)
    assert not torch.equal(student, exact), "autocast must act for the next line to mean something"
    assert torch.equal(teacher.logits(wrapped, inputs), student)
    disturb(model)
    assert torch.equal(teacher.logits(wrapped, inputs), student)
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    assert torch.equal(teacher.logits(model, inputs), exact)
