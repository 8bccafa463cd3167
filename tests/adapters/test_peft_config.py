"""PEFT's configuration says what our settings say."""

from __future__ import annotations

import pytest
from peft import TaskType

from balora.adapters import AdapterConfig, find_method
from balora.adapters.factors import Factors
from balora.adapters.peft_config import describe_base, lora_config, set_ranks
from balora.adapters.starts.plan import Start
from balora.adapters.targets import PeftTargets
from tests.support import tiny


def configured(**changes: object) -> object:
    config = AdapterConfig(method="lora", r=4, alpha=6, **changes)  # type: ignore[arg-type]
    return lora_config(config, find_method("lora"), PeftTargets(["q_proj"], []), [], TaskType.CAUSAL_LM)


def test_alpha_is_whole_where_it_can_be() -> None:
    config = configured()
    assert (config.r, config.lora_alpha, type(config.lora_alpha)) == (4, 6, int)  # type: ignore[attr-defined]


def test_every_rank_keeps_the_scaling() -> None:
    config = configured()
    start = Start(lambda *_: Factors(None, None), {"a": 2, "b": 8, "c": 0})  # type: ignore[arg-type]
    set_ranks(config, start)  # type: ignore[arg-type]
    assert config.rank_pattern == {"a": 2, "b": 8}  # type: ignore[attr-defined]
    scalings = {name: alpha / {"a": 2, "b": 8}[name] for name, alpha in config.alpha_pattern.items()}  # type: ignore[attr-defined]
    assert scalings == {"a": 1.5, "b": 1.5}


@pytest.mark.parametrize(("family", "layer", "expected"), [("gpt2", "c_attn", True), ("llama", "q_proj", False)])
def test_transposed_layers_are_named_as_such(family: str, layer: str, expected: bool) -> None:
    model = tiny.build(family)
    chosen = [name for name, _ in model.named_modules() if name.endswith(layer)]
    assert describe_base(configured(), model, chosen).fan_in_fan_out == expected  # type: ignore[arg-type]
