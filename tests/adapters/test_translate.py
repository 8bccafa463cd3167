"""A PEFT configuration in balora's words trains the same; what has no word is refused by name."""

from __future__ import annotations

from typing import Any

import peft
import pytest

from balora.adapters import AdapterConfig, adapter_config_from_peft, attach_adapter
from balora.errors import ModelError
from tests.support import tiny

NAMES = ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"method": "lora"}),
        ({"use_dora": True}, {"method": "dora"}),
        ({"use_rslora": True}, {"method": "rslora"}),
        ({"init_lora_weights": "pissa"}, {"method": "pissa"}),
        (
            {"init_lora_weights": "pissa_niter_4"},
            {"method": "pissa", "svd": "randomized", "svd_iterations": 4},
        ),
        (
            {"lora_dropout": 0.1, "modules_to_save": ["norm"]},
            {"method": "lora", "dropout": 0.1, "modules_to_save": ["norm"]},
        ),
        ({"task_type": "CAUSAL_LM"}, {"method": "lora"}),
    ],
    ids=str,
)
def test_what_has_a_word_is_translated(given: dict[str, Any], expected: dict[str, Any]) -> None:
    config = peft.LoraConfig(r=4, lora_alpha=12, target_modules=NAMES, **given)
    translated = adapter_config_from_peft(config)
    assert translated == AdapterConfig(r=4, alpha=12, target_modules=NAMES, **expected)
    if "init_lora_weights" not in given:
        ours = attach_adapter(tiny.build("llama"), translated)
        theirs = peft.get_peft_model(tiny.build("llama"), config)
        assert {n for n, p in ours.named_parameters() if p.requires_grad} == {
            n for n, p in theirs.named_parameters() if p.requires_grad
        }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target_modules": None}, "target_modules is not set"),
        ({"bias": "all"}, "balora has no 'bias' .it is 'all'"),
        ({"layers_to_transform": [0]}, "no 'layers_to_transform'"),
        ({"rank_pattern": {"q_proj": 2}}, "no 'rank_pattern'"),
        ({"init_lora_weights": "olora"}, "no method has .*init_lora_weights='olora'"),
        ({"init_lora_weights": False}, "no method has .*init_lora_weights=False"),
        ({"use_dora": True, "use_rslora": True}, "no method has use_rslora=True, use_dora=True"),
        ({"use_dora": True, "init_lora_weights": "pissa"}, "no method has"),
    ],
    ids=str,
)
def test_what_has_no_word_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        adapter_config_from_peft(peft.LoraConfig(**{"target_modules": NAMES, **given}))
