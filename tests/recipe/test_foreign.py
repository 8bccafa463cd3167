"""Advice for settings of other tools must itself be true."""

from __future__ import annotations

import re

import pytest

from balora.adapters.registry import METHODS
from balora.recipe.foreign import FOREIGN, foreign_advice
from balora.recipe.keys import known_keys, sections


@pytest.mark.parametrize("key", sorted(FOREIGN))
def test_advice_names_only_keys_that_exist(key: str) -> None:
    advice = foreign_advice(key, True)
    assert advice
    for section, name in re.findall(r"\b([a-z]+)\.([a-z_0-9]+)", advice):
        if section in sections():
            assert name in known_keys(section), advice


@pytest.mark.parametrize("key", sorted(FOREIGN))
def test_a_foreign_key_is_not_one_of_ours(key: str) -> None:
    homes = [section for section in sections() if key in known_keys(section)]
    assert homes == (["evaluation"] if key == "batch_size" else [])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("init_lora_weights", "pissa_niter_16", "svd: randomized, adapter.svd_iterations: 16"),
        ("init_lora_weights", "pissa", "adapter.method: pissa"),
        ("init_lora_weights", True, "adapter.method: lora"),
        ("init_lora_weights", "olora", "adapter.method: olora"),
        ("init_lora_weights", "loftq", "'loftq' is not available"),
        ("peft_type", "LORA", "adapter.method: lora"),
        ("flash_attn", "sdpa", "model.attn_implementation"),
        ("load_in_4bit", True, "model.quantization: nf4"),
        ("no_such_thing", 1, None),
    ],
)
def test_advice_may_depend_on_the_value(key: str, value: object, said: str | None) -> None:
    advice = foreign_advice(key, value)
    assert advice is None if said is None else said in str(advice)


def test_every_method_is_offered() -> None:
    assert all(name in str(foreign_advice("init_lora_weights", "nothing")) for name in METHODS)
