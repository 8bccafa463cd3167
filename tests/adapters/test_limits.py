"""Limits: what cannot be adapted is refused with a way out, before anything is attached."""

from __future__ import annotations

import re

import pytest

from balora.adapters import METHODS, AdapterConfig, Calibration, attach_adapter, limits
from balora.adapters.limits import ENCODER_DECODER, LIMITS, NO_BIASES, STACKED_EXPERTS, TRAITS, Limit
from balora.errors import ModelError
from tests.adapters.families import LATER_METHODS
from tests.support import rows, tiny

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def test_the_table_names_methods_and_traits_that_exist() -> None:
    assert {limit.method for limit in LIMITS} <= set(METHODS)
    assert {limit.trait for limit in LIMITS} <= set(TRAITS)


@pytest.mark.parametrize(
    ("family", "head", "expected"),
    [
        ("mixtral", "causal_lm", [STACKED_EXPERTS, NO_BIASES]),
        ("t5", "seq2seq_lm", [ENCODER_DECODER, NO_BIASES]),
        ("llama", "causal_lm", [NO_BIASES]),
        ("gpt2", "causal_lm", []),
    ],
)
def test_traits_are_read_off_the_model(family: str, head: str, expected: list[str]) -> None:
    model = tiny.build(family, head)
    assert [trait for trait, has in TRAITS.items() if has(model)] == expected


@pytest.mark.parametrize("method", [limit.method for limit in LIMITS if limit.trait == STACKED_EXPERTS])
def test_a_method_that_cannot_reach_experts_names_one_and_the_way_out(method: str) -> None:
    base = tiny.build("mixtral")
    names = [name for name, _ in base.named_modules()]
    others = r"\[k_proj, o_proj, q_proj, v_proj\]"
    with pytest.raises(
        ModelError, match=rf"{re.escape(method)} cannot adapt model\.layers\.0\.mlp\.experts\.gate_up_proj .*{others}"
    ):
        attach_adapter(base, AdapterConfig(method=method, r=2))
    assert [name for name, _ in base.named_modules()] == names
    sample = Calibration(rows.language_rows(12).to_list(), rows.collator("generation"))
    config = AdapterConfig(method=method, r=2, target_modules=ATTENTION, **LATER_METHODS.get(method, {}))
    attach_adapter(base, config, calibration=sample)


def test_a_method_that_a_whole_model_refuses_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIMITS", (Limit("rslora", ENCODER_DECODER, "it was made up here"),))
    with pytest.raises(ModelError, match="rslora cannot adapt a model with an encoder and a decoder: it was made up"):
        attach_adapter(tiny.build("t5", "seq2seq_lm"), AdapterConfig(method="rslora", r=2))
    attach_adapter(tiny.build("llama"), AdapterConfig(method="rslora", r=2))


def test_dropout_cannot_act_on_experts() -> None:
    base = tiny.build("mixtral")
    with pytest.raises(ModelError, match=r"adapter\.dropout: is 0\.1, which cannot act on .*set it to 0"):
        attach_adapter(base, AdapterConfig(method="lora", r=2, dropout=0.1))
    attach_adapter(base, AdapterConfig(method="lora", r=2, dropout=0.1, target_modules=ATTENTION))


def test_without_experts_nothing_is_refused() -> None:
    attach_adapter(tiny.build("llama"), AdapterConfig(method="dora", r=2, dropout=0.1))
