"""AdaLoRA: PEFT's layers and rank allocator, with its schedule taken from the run and its export as plain LoRA."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from peft import AdaLoraConfig, LoraConfig, TaskType
from peft.tuners.adalora import AdaLoraLayer, AdaLoraModel, RankAllocator
from torch import Tensor, nn

from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.settings import AdapterConfig
from balora.errors import ModelError

STEPS_NOT_KNOWN = 1 << 30
"""Stands for the number of steps until a run says how many there are."""
STATE_PREFIX = "adalora."
"""What the allocator's numbers are called in a state file."""
ALLOCATED = "allocated"


def adalora_config(config: AdapterConfig, targets: list[str], saved: list[str], task_type: TaskType) -> AdaLoraConfig:
    """PEFT's configuration; `plan_ranks` fills in the schedule. Left out, alpha is the initial rank: scaling 1."""
    alpha = config.initial_rank if config.alpha is None else config.alpha
    return AdaLoraConfig(
        init_r=config.initial_rank,
        target_r=config.r,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        modules_to_save=list(saved) or None,
        deltaT=config.adalora_interval,
        orth_reg_weight=config.adalora_orthogonality,
        total_step=STEPS_NOT_KNOWN,
        task_type=task_type,
        bias="none",
    )


def adalora_of(model: nn.Module) -> AdaLoraModel | None:
    """PEFT's AdaLoRA inside a model, or None."""
    return next((module for module in model.modules() if isinstance(module, AdaLoraModel)), None)


def allocator_of(adalora: AdaLoraModel) -> RankAllocator:
    """What moves the ranks."""
    allocator: RankAllocator = vars(adalora)["rankallocator"]
    return allocator


def plan_ranks(adalora: AdaLoraModel, config: AdapterConfig, steps: int) -> None:
    """Lay the three phases over a run of `steps` optimiser steps.

    Raises:
        ModelError: no step is left between warm-up and final phase.
    """
    planned = adalora.peft_config[ADAPTER_NAME]
    warmup, final = int(config.adalora_warmup * steps), int(config.adalora_final * steps)
    if warmup >= steps - final:
        what = f"{steps} steps leave none between adalora_warmup and adalora_final"
        raise ModelError.at("training.max_steps", what, "train longer, or lower the two shares")
    planned.total_step, planned.tinit, planned.tfinal = steps, warmup, final


def move_ranks(adalora: AdaLoraModel, step: int) -> None:
    """With the gradients of optimiser step `step` (counted from 1): score every direction, drop the worst."""
    adalora.update_and_allocate(step)


def orthogonality(adalora: AdaLoraModel) -> Tensor:
    """Mean over all factors of ‖AAᵀ − I‖_F and ‖BᵀB − I‖_F, with gradient; AdaLoRA's own term, equation 4.

    PEFT adds it only to a loss that the model computes itself.
    """
    gaps = []
    for layer in layers_of(adalora):
        for factor in (layer.lora_A[ADAPTER_NAME], layer.lora_B[ADAPTER_NAME].T):
            gram = factor @ factor.T
            gaps.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)))
    return torch.stack(gaps).mean()


def layers_of(model: nn.Module) -> list[AdaLoraLayer]:
    """Every layer with singular values of its own."""
    return [module for module in model.modules() if isinstance(module, AdaLoraLayer)]


def allocator_state(model: nn.Module) -> dict[str, Tensor]:
    """What the allocator has learned so far, and which directions are left: a resumed run needs both."""
    adalora = adalora_of(model)
    if adalora is None:
        return {}
    allocator = allocator_of(adalora)
    kinds = {"ipt": allocator.ipt, "mean": allocator.exp_avg_ipt, "spread": allocator.exp_avg_unc}
    state = {f"{STATE_PREFIX}{kind}.{name}": value for kind, values in kinds.items() for name, value in values.items()}
    pattern = adalora.peft_config[ADAPTER_NAME].rank_pattern or {}
    return state | {f"{STATE_PREFIX}{ALLOCATED}.{name}": torch.tensor(kept) for name, kept in pattern.items()}


def restore_allocator(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `allocator_state` gave."""
    adalora = adalora_of(model)
    if adalora is None:
        return
    allocator = allocator_of(adalora)
    allocator.reset_ipt()
    kinds = {"ipt": allocator.ipt, "mean": allocator.exp_avg_ipt, "spread": allocator.exp_avg_unc}
    device = next(adalora.parameters()).device
    pattern = {}
    for key, value in state.items():
        kind, _, name = key.removeprefix(STATE_PREFIX).partition(".")
        if kind == ALLOCATED:
            pattern[name] = value.tolist()
        else:
            kinds[kind][name] = value.to(device)
    adalora.peft_config[ADAPTER_NAME].rank_pattern = pattern or None


def as_plain_factors(state_dict: Mapping[str, Tensor], config: AdaLoraConfig) -> tuple[dict[str, Tensor], int]:
    """A model's state with P·E·Q replaced by plain LoRA factors of one rank, and that rank.

    Directions whose singular value is 0 were dropped and leave; layers with fewer than the most are filled up with
    zeros, because not every loader takes a rank per layer. The scaling is in A, so that alpha = r.
    """
    plain = {name: value for name, value in state_dict.items() if not _belongs(name)}
    layers = [name.removesuffix(f".lora_E.{ADAPTER_NAME}") for name in state_dict if f".lora_E.{ADAPTER_NAME}" in name]
    kept = {layer: state_dict[f"{layer}.lora_E.{ADAPTER_NAME}"].flatten().nonzero().flatten() for layer in layers}
    rank = max(1, max(len(indices) for indices in kept.values()))
    for layer, indices in kept.items():
        down, values, up = (state_dict[f"{layer}.lora_{part}.{ADAPTER_NAME}"] for part in "AEB")
        scaling = config.lora_alpha / (config.init_r + 1e-5)
        factor = down.new_zeros(rank, down.shape[1])
        factor[: len(indices)] = (down * values)[indices] * scaling
        other = up.new_zeros(up.shape[0], rank)
        other[:, : len(indices)] = up[:, indices]
        plain[f"{layer}.lora_A.{ADAPTER_NAME}.weight"] = factor
        plain[f"{layer}.lora_B.{ADAPTER_NAME}.weight"] = other
    return plain, rank


def _belongs(name: str) -> bool:
    return any(name.endswith(f".{part}.{ADAPTER_NAME}") for part in ("lora_A", "lora_B", "lora_E", "ranknum"))


def plain_config_of(config: AdaLoraConfig, rank: int) -> LoraConfig:
    """The configuration of the plain factors."""
    return LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=config.lora_dropout,
        target_modules=config.target_modules,
        modules_to_save=config.modules_to_save,
        fan_in_fan_out=config.fan_in_fan_out,
        task_type=config.task_type,
        base_model_name_or_path=config.base_model_name_or_path,
        bias="none",
    )
