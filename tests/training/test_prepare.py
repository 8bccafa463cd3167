"""`prepare_model`: what it refuses, in words that lead on, and what it takes."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import transformers

from balora.adapters import AdapterConfig
from balora.errors import ModelError
from balora.training import prepare_model
from tests.support import tiny


def headless(name: str, family: str) -> Any:
    return getattr(transformers, name)(tiny.config(family))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "bert-base-uncased", "'bert-base-uncased' is a name, not a model; load it first"),
        (lambda: headless("BertModel", "bert"), "BertModel has neither .* AutoModelForSequenceClassification"),
        (lambda: headless("LlamaModel", "llama"), "LlamaModel has neither .* AutoModelForCausalLM"),
        (lambda: headless("BertForMaskedLM", "bert"), "BertForMaskedLM has neither"),
        (lambda: headless("BertForTokenClassification", "bert"), "BertForTokenClassification has neither"),
        (lambda: headless("T5EncoderModel", "t5"), "T5EncoderModel has neither"),
        (
            lambda: peft.get_peft_model(tiny.build("llama"), peft.LoraConfig(target_modules=["q_proj"])),
            "has an adapter already",
        ),
        (lambda: 3, "int is no transformers model"),
    ],
    ids=["name", "body", "decoder body", "masked", "tokens", "encoder", "adapted", "number"],
)
@pytest.mark.parametrize("method", ["pissa", "full"])
def test_what_cannot_be_trained_is_refused_with_the_way_out(make: Any, message: str, method: str) -> None:
    with pytest.raises(ModelError, match=message):
        prepare_model(make(), AdapterConfig(method=method))


def test_a_head_for_another_task_is_refused() -> None:
    with pytest.raises(
        ModelError, match="LlamaForCausalLM does not fit task classification; load it with AutoModelFor"
    ):
        prepare_model(tiny.build("llama"), task="classification")
    with pytest.raises(ModelError, match="does not fit task generation"):
        prepare_model(tiny.build("bert", "sequence_classification"), task="generation")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_is_taken_in_16_bits(family: str) -> None:
    prepare_model(tiny.FAMILIES[family]().bfloat16())


def test_a_peft_configuration_is_taken() -> None:
    config = peft.LoraConfig(r=4, lora_alpha=8, init_lora_weights="pissa", target_modules=["q_proj"])
    model = prepare_model(tiny.build("llama"), config)
    assert model.peft_config["default"].r == 4
    assert [name for name, _ in model.named_buffers() if "anchor" in name]


def test_fresh_parameters_are_handed_on() -> None:
    """As transformers gives them in its loading information."""
    model = tiny.build("bert", "sequence_classification")
    adapted = prepare_model(model, fresh_parameters=["bert.pooler.dense.weight", "bert.pooler.dense.bias"])
    assert [name for name, p in adapted.named_parameters() if "pooler" in name and p.requires_grad]
