"""Build optimizer and schedule once on a small layer, so that settings that cannot work fail before anything loads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainingArguments, get_scheduler
from transformers.utils import is_liger_kernel_available

from balora.errors import InputError

_STEPS = 10


def rehearse(arguments: TrainingArguments) -> None:
    """Do with a small layer what the Trainer will do with the model.

    Raises:
        InputError: names the setting, and what transformers or torch said.
    """
    if arguments.use_liger_kernel and not is_liger_kernel_available():
        what = "true, but the package liger-kernel is not installed"
        raise InputError.at("training.use_liger_kernel", what, "install it, or remove the setting")
    with torch.random.fork_rng(devices=[]):
        layer = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).to(arguments.device)
    key = "training.optim_args" if arguments.optim_args else "training.optim"
    with _blamed_on(key, arguments.optim.value, "change it, or install what it needs"):
        kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, layer)
        optimizer = _optimizer(kind, options, layer)
    if optimizer is None:
        return
    schedule = arguments.lr_scheduler_type.value
    key = "training.lr_scheduler_kwargs" if arguments.lr_scheduler_kwargs else "training.lr_scheduler_type"
    with _blamed_on(key, schedule, "set training.lr_scheduler_kwargs to what this schedule takes"):
        scheduler = get_scheduler(
            arguments.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=arguments.get_warmup_steps(_STEPS),
            num_training_steps=_STEPS,
            scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
        )
        if isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR):
            optimizer.step()
            for _ in range(_STEPS):
                scheduler.step()


def _optimizer(kind: Any, options: dict[str, Any], layer: nn.Module) -> torch.optim.Optimizer | None:
    """The optimizer; None for a kind that is not made by calling a class of torch's."""
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        return None
    chosen = [options.pop(name) for name in ("params", "model", "optimizer_dict") if name in options]
    optimizer: torch.optim.Optimizer = kind(chosen[-1] if chosen else list(layer.parameters()), **options)
    return optimizer


@contextmanager
def _blamed_on(key: str, name: str, fix: str) -> Iterator[None]:
    """Whatever is raised inside comes from the one setting that is tried out there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise InputError.at(key, f"'{name}' cannot be used ({said})", fix) from error
