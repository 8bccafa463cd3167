"""peft.LoraConfig, as many have one at hand, in balora's words."""

from __future__ import annotations

import re
from typing import Any

from peft import LoraConfig

from balora.adapters.settings import AdapterConfig
from balora.errors import ModelError, Problem

TRANSLATED = ("r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save")
METHOD_FIELDS = ("use_rslora", "use_dora", "init_lora_weights")
DESCRIBING = {"task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"}
DESCRIBING |= {"inference_mode", "fan_in_fan_out", "runtime_config"}
"""Fields that say what a configuration is for, not what trains."""


def adapter_config_from_peft(config: LoraConfig) -> AdapterConfig:
    """The adapter configuration that trains what a PEFT configuration trains.

    Translated are r, lora_alpha, lora_dropout, target_modules, modules_to_save, use_rslora, use_dora, and
    init_lora_weights of `True`, `pissa` and `pissa_niter_N` (randomised, N power iterations).

    Raises:
        ModelError: for every other field that is not at its default, and for targets that PEFT would guess.

    Example:
        >>> adapter_config_from_peft(LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj"])).method
        'lora'
    """
    defaults, given = vars(LoraConfig()), vars(config)
    read = {*TRANSLATED, *METHOD_FIELDS, *DESCRIBING}
    problems = [
        Problem("adapter_config", f"balora has no '{name}' (it is {value!r})", "leave it at PEFT's default")
        for name, value in given.items()
        if name not in read and value != defaults.get(name)
    ]
    if given["target_modules"] is None:
        what = "target_modules is not set, and what PEFT would guess depends on the model"
        problems.append(Problem("adapter_config", what, 'write target_modules="all-linear", or names'))
    if problems:
        raise ModelError(problems)
    targets, saved = given["target_modules"], given["modules_to_save"]
    return AdapterConfig(
        r=given["r"],
        alpha=given["lora_alpha"],
        dropout=given["lora_dropout"],
        target_modules=targets if isinstance(targets, str) else sorted(targets),
        modules_to_save=None if saved is None else list(saved),
        **_method(given),
    )


def _method(given: dict[str, Any]) -> dict[str, Any]:
    """The method that PEFT's three fields for it amount to."""
    start = given["init_lora_weights"]
    pissa = re.fullmatch(r"pissa(?:_niter_(\d+))?", start) if isinstance(start, str) else None
    chosen = [name for name in ("use_rslora", "use_dora") if given[name]] + (["init_lora_weights"] if pissa else [])
    if (start is not True and pissa is None) or len(chosen) > 1:
        shown = ", ".join(f"{name}={given[name]!r}" for name in METHOD_FIELDS)
        fix = "write balora.AdapterConfig(method=...) with lora, rslora, dora or pissa"
        raise ModelError.at("adapter_config", f"no method has {shown}", fix)
    if pissa is None:
        return {"method": chosen[0].removeprefix("use_") if chosen else "lora"}
    if pissa[1] is None:
        return {"method": "pissa"}
    return {"method": "pissa", "svd": "randomized", "svd_iterations": int(pissa[1])}
