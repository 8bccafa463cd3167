"""The optimizers that belong to a method: LoRA+ and LoRA-FA, both PEFT's."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from peft.optimizers import create_lorafa_optimizer, create_loraplus_optimizer
from torch import nn
from transformers import Trainer, TrainingArguments

from balora.adapters import AdapterConfig, config_of, find_method
from balora.errors import ModelError


def adapter_optimizer(model: nn.Module, args: TrainingArguments, *, sharded: bool) -> torch.optim.Optimizer | None:
    """The optimizer of the model's method; None where the method leaves it to the section `training`.

    Anchors are buffers, so neither optimizer knows of them.

    Args:
        model: as the Trainer holds it.
        args: learning rate, weight decay; for loraplus also which optimizer and its settings.
        sharded: whether weights are spread over devices (FSDP, DeepSpeed).

    Raises:
        ModelError: an optimizer that takes no groups of parameters under loraplus, or sharded weights under lora_fa.
    """
    config = config_of(model)
    adapted = next((module for module in model.modules() if isinstance(module, PeftModel)), None)
    if config is None or adapted is None:
        return None
    kind = find_method(config.method).optimizer
    if kind == "loraplus":
        return loraplus_optimizer(adapted, args, ratio=config.loraplus_ratio)
    return lora_fa_optimizer(adapted, args, config, sharded=sharded) if kind == "lora_fa" else None


def loraplus_optimizer(model: PeftModel, args: TrainingArguments, *, ratio: float) -> torch.optim.Optimizer:
    """The optimizer of the section `training`, with `ratio` times the learning rate on B (arXiv 2402.12354).

    PEFT's grouping: B and every one-dimensional number (biases of a head) at the higher rate, all else at the lower.

    Raises:
        ModelError: an optimizer that takes no groups of parameters.
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
    own = {"params", "model", "optimizer_dict"} & options.keys()
    if own or not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        what = f"loraplus needs an optimizer with groups of parameters, and '{args.optim}' has its own"
        raise ModelError.at("training.optim", what, "use adamw_torch, or leave it out")
    settings: dict[str, Any] = {**options, "loraplus_weight_decay": args.weight_decay}
    rate = float(settings.pop("lr", args.learning_rate))
    made: torch.optim.Optimizer = create_loraplus_optimizer(model, kind, lr=rate, loraplus_lr_ratio=ratio, **settings)
    return made


def lora_fa_optimizer(
    model: PeftModel, args: TrainingArguments, config: AdapterConfig, *, sharded: bool
) -> torch.optim.Optimizer:
    """PEFT's LoRA-FA: A stays, the gradient of B is projected by (AAᵀ)⁻¹ (arXiv 2308.03303).

    Raises:
        ModelError: sharded weights, whose A cannot be inverted piece by piece.
    """
    if sharded:
        what = "lora_fa cannot train weights that are spread over devices (FSDP, DeepSpeed)"
        raise ModelError.at("adapter.method", what, "use loraplus or lora, or train without sharding")
    made: torch.optim.Optimizer = create_lorafa_optimizer(
        model, r=config.r, lora_alpha=config.scaling_alpha, lr=args.learning_rate, weight_decay=args.weight_decay
    )
    return made
