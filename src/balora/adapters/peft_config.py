"""PEFT's configuration of an adapter, from ours."""

from __future__ import annotations

from peft import LoraConfig, TaskType
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.registry import Method
from balora.adapters.settings import AdapterConfig
from balora.adapters.starts.plan import Start
from balora.adapters.targets import PeftTargets, linear_layers


def lora_config(
    config: AdapterConfig, method: Method, targets: PeftTargets, saved: list[str], task_type: TaskType
) -> LoraConfig:
    """PEFT's configuration of the trained adapter; the start is plain LoRA's, an anchored method replaces it after."""
    alpha = config.scaling_alpha
    return LoraConfig(
        r=config.r,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=config.dropout,
        target_modules=targets.modules,
        target_parameters=targets.parameters or None,
        modules_to_save=list(saved) or None,
        use_rslora=method.use_rslora,
        use_dora=method.use_dora,
        task_type=task_type,
        bias="none",
    )


def set_ranks(peft_config: LoraConfig, start: Start) -> None:
    """Write the ranks that differ from r into PEFT's configuration; every layer keeps the scaling alpha/r."""
    ranks = {name: rank for name, rank in start.ranks.items() if rank}
    scaling = peft_config.lora_alpha / peft_config.r
    peft_config.rank_pattern = ranks
    peft_config.alpha_pattern = {name: scaling * rank for name, rank in ranks.items()}


def describe_base(peft_config: LoraConfig, model: PreTrainedModel, chosen: list[str]) -> LoraConfig:
    """Add what PEFT would otherwise guess with a warning, or leave out: the base's name and its weight layout."""
    peft_config.base_model_name_or_path = model.name_or_path or None
    known = linear_layers(model)
    layers = [known[name] for name in chosen]
    # PEFT looks at it for Conv1D and nn.Linear only; a quantized Conv1D is no longer transposed.
    peft_config.fan_in_fan_out = any(isinstance(layer, Conv1D) for layer in layers) and not any(
        type(layer) is nn.Linear for layer in layers
    )
    return peft_config
