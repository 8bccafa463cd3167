"""An adapter's configuration is made of PEFT's types, of finite numbers, and of nothing that goes on for ever."""

from __future__ import annotations

import re
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import peft
import pytest

from balora.models.adapter_config import config_problems

WHERE = Path("adapter_config.json")
UNSLOTH = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|mlp).*?(?:q_proj|v_proj).*?)"
    r"|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|v_proj)))"
)


@pytest.mark.parametrize(
    "config",
    [
        peft.LoraConfig(r=8, target_modules=["q"], task_type="CAUSAL_LM"),
        peft.LoraConfig(r=8, target_modules=UNSLOTH, lora_dropout=0.5, init_lora_weights=False),
        peft.LoraConfig(init_lora_weights="pissa", rank_pattern={r"layers\.0\..*q": 4}, alpha_pattern={"v": 0.5}),
        peft.LoraConfig(init_lora_weights="pissa_niter_16", layers_to_transform=[0, 1], layers_pattern="layers"),
        peft.LoraConfig(init_lora_weights="Gaussian", target_modules="all-linear", layer_replication=[[0, 4], [2, 5]]),
        peft.LoraConfig(target_parameters=["experts.down_proj"], modules_to_save=["score"], bias="lora_only"),
        peft.AdaLoraConfig(total_step=10, target_modules=["q"], rank_pattern={"a.lora_E": [True, False]}),
        peft.IA3Config(target_modules=["k"], feedforward_modules=[]),
    ],
    ids=str,
)
def test_what_peft_itself_writes_is_taken(config: peft.PeftConfig) -> None:
    values: dict[str, Any] = {field.name: getattr(config, field.name) for field in fields(config)}
    listed = {name: list(value) if isinstance(value, set) else value for name, value in values.items()}
    listed["loftq_config"] = dict(values.get("loftq_config") or {})
    assert list(config_problems(WHERE, listed)) == []


@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern", "target_modules", "target_parameters"])
@pytest.mark.parametrize("pattern", ["(.*)*x", "((a|b)+)+$", "(a{1,50}){1,50}b", ".*" * 6 + "x", "a" * 2001])
def test_a_pattern_that_may_never_end_is_refused_wherever_peft_reads_one(field: str, pattern: str) -> None:
    value: Any = {pattern: 1} if field.endswith("_pattern") else [pattern]
    (problem,) = config_problems(WHERE, {"peft_type": "LORA", field: value})
    assert field in problem.what


def test_the_worst_pattern_that_is_allowed_ends_soon() -> None:
    pattern = ".*" * 5 + "x"
    assert list(config_problems(WHERE, {"rank_pattern": {pattern: 1}})) == []
    began = time.process_time()
    assert re.match(rf"(.*\.)?({pattern})$", "model.layers.10.self_attn.q_proj") is None
    assert time.process_time() - began < 2


def test_every_fault_is_told_at_once_with_field_finding_and_expectation() -> None:
    problems = list(config_problems(WHERE, {"r": "8", "lora_alpha": float("nan"), "loftq_config": {"loftq_iter": 1e9}}))
    assert [problem.what.split("'")[1] for problem in problems] == ["r", "lora_alpha", "loftq_config.loftq_iter"]
    assert all("expected" in problem.what and problem.where == str(WHERE) for problem in problems)
