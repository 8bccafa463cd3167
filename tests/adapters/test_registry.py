"""The method table."""

from __future__ import annotations

import pytest

from balora.adapters import METHODS, AdapterConfig, find_method
from balora.adapters.registry import OTHER_NAMES, method_name
from balora.errors import ModelError
from tests.adapters.families import adapt


@pytest.mark.parametrize("name", METHODS)
def test_every_row_attaches(name: str) -> None:
    assert find_method(name).name == name
    adapt("gpt2", name, r=2, alpha=None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LoRA-GA", "lora_ga"),
        ("loraga", "lora_ga"),
        ("lora+", "loraplus"),
        ("LoRA-FA", "lora_fa"),
        ("CorDA++", "corda++"),
    ],
)
def test_other_spellings_are_understood(written: str, meant: str) -> None:
    assert find_method(written).name == meant
    assert AdapterConfig(method=written).method == meant


def test_other_names_lead_to_methods_and_hide_none() -> None:
    assert set(OTHER_NAMES.values()) <= set(METHODS)
    assert not set(OTHER_NAMES) & set(METHODS)
    assert all(method_name(name) == name for name in METHODS)


def test_a_typo_is_told_the_closest_method() -> None:
    with pytest.raises(ModelError, match=r"unknown method 'pisa'; did you mean 'pissa'\?"):
        find_method("pisa")
