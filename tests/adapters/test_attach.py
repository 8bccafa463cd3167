"""Attaching: what trains, what is refused, and that nothing global is touched."""

from __future__ import annotations

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapted_layers, attach_adapter
from balora.adapters.attach import peft_task_type
from balora.errors import ModelError
from tests.support import tiny


def trainable(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_a_language_model_trains_its_adapter_alone() -> None:
    names = trainable(attach_adapter(tiny.build("llama"), AdapterConfig(r=2)))
    assert names
    assert all("lora_" in name for name in names)


@pytest.mark.parametrize(
    ("family", "heads"),
    [
        ("bert", {"classifier"}),
        ("roberta", {"classifier"}),
        ("deberta-v2", {"pooler", "classifier"}),
        ("t5", {"classification_head"}),
        ("llama", {"score"}),
        ("gpt2", {"score"}),
    ],
)
def test_a_classifier_trains_every_module_of_its_head(family: str, heads: set[str]) -> None:
    model = attach_adapter(tiny.build(family, "sequence_classification"), AdapterConfig(r=2))
    names = {name.split(".")[2] for name in trainable(model) if "lora_" not in name}
    assert names == heads


def test_full_trains_everything_and_adds_nothing() -> None:
    base = tiny.build("llama")
    names = set(base.state_dict())
    model = attach_adapter(base, AdapterConfig(method="full"))
    assert model is base
    assert trainable(model) == {name for name, _ in base.named_parameters()}
    assert set(model.state_dict()) == names


def test_modules_to_save_are_the_users_choice() -> None:
    config = AdapterConfig(r=2, modules_to_save=["embed_tokens"])
    names = trainable(attach_adapter(tiny.build("llama"), config))
    assert any("embed_tokens.modules_to_save" in name for name in names)


def test_the_start_depends_on_its_own_seed_alone() -> None:
    def first_down(config: AdapterConfig) -> torch.Tensor:
        layer = next(adapted_layers(attach_adapter(tiny.build("llama"), config)))[1]
        return layer.lora_A["default"].weight.detach()

    torch.manual_seed(7)
    state = torch.get_rng_state()
    one = first_down(AdapterConfig(method="lora", r=2, seed=1))
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(8)
    assert torch.equal(one, first_down(AdapterConfig(method="lora", r=2, seed=1)))
    assert not torch.equal(one, first_down(AdapterConfig(method="lora", r=2, seed=2)))


def test_an_adapted_model_is_refused() -> None:
    model = peft.get_peft_model(tiny.build("llama"), peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ModelError, match="has a LoRA adapter already"):
        attach_adapter(model, AdapterConfig())


def test_a_rank_above_a_layer_s_smaller_side_is_named() -> None:
    with pytest.raises(ModelError, match=r"rank 20 exceeds .*layers\.0\.self_attn\.k_proj.*at most 16"):
        attach_adapter(tiny.build("llama"), AdapterConfig(r=20))


def test_nothing_is_attached_when_something_is_wrong() -> None:
    base = tiny.build("llama")
    names = [name for name, _ in base.named_modules()]
    with pytest.raises(ModelError):
        attach_adapter(base, AdapterConfig(r=20))
    assert [name for name, _ in base.named_modules()] == names


@pytest.mark.parametrize(
    ("family", "head", "task", "expected"),
    [
        ("llama", "causal_lm", None, "CAUSAL_LM"),
        ("t5", "seq2seq_lm", "generation", "SEQ_2_SEQ_LM"),
        ("bert", "sequence_classification", None, "SEQ_CLS"),
        ("t5", "sequence_classification", "regression", "SEQ_CLS"),
    ],
)
def test_task_types(family: str, head: str, task: str | None, expected: str) -> None:
    assert peft_task_type(tiny.build(family, head), task) == expected  # type: ignore[arg-type]
