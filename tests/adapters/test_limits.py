"""Limits: what cannot be adapted is refused with a way out, before anything is attached."""

from __future__ import annotations

import pytest

from balora.adapters import METHODS, AdapterConfig, attach_adapter
from balora.adapters.limits import STACKED_EXPERTS
from balora.errors import ModelError
from tests.support import tiny

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def test_the_table_names_methods_that_exist() -> None:
    assert set(STACKED_EXPERTS) <= set(METHODS)


@pytest.mark.parametrize("method", STACKED_EXPERTS)
def test_a_method_that_cannot_reach_experts_names_one_and_the_way_out(method: str) -> None:
    base = tiny.build("mixtral")
    names = [name for name, _ in base.named_modules()]
    expected = (
        rf"{method} cannot adapt model\.layers\.0\.mlp\.experts\.gate_up_proj .*\[k_proj, o_proj, q_proj, v_proj\]"
    )
    with pytest.raises(ModelError, match=expected):
        attach_adapter(base, AdapterConfig(method=method, r=2))
    assert [name for name, _ in base.named_modules()] == names
    attach_adapter(base, AdapterConfig(method=method, r=2, target_modules=ATTENTION))


def test_dropout_cannot_act_on_experts() -> None:
    base = tiny.build("mixtral")
    with pytest.raises(ModelError, match=r"adapter\.dropout: is 0\.1, which cannot act on .*set it to 0"):
        attach_adapter(base, AdapterConfig(method="lora", r=2, dropout=0.1))
    attach_adapter(base, AdapterConfig(method="lora", r=2, dropout=0.1, target_modules=ATTENTION))


def test_without_experts_nothing_is_refused() -> None:
    attach_adapter(tiny.build("llama"), AdapterConfig(method="dora", r=2, dropout=0.1))
