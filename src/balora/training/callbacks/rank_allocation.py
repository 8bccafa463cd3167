"""AdaLoRA moves its ranks once per optimiser step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.adapters import adalora_of, config_of, move_ranks, plan_ranks


class RankAllocation(TrainerCallback):
    """Lays AdaLoRA's schedule over the run and lets it score and drop directions; does nothing for other methods."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The number of steps is known now.

        Raises:
            ModelError: no step is left between warm-up and final phase.
        """
        del args, control, kwargs
        adalora, config = adalora_of(self.model), config_of(self.model)
        if adalora is not None and config is not None:
            plan_ranks(adalora, config, state.max_steps)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Gradients are still there: score them, and drop directions where the schedule says so."""
        del control, kwargs
        adalora = adalora_of(self.model)
        if adalora is None:
            return
        if args.fp16:
            # The loss scaler skips a step whose gradients overflow; such gradients say nothing.
            gradients = [p.grad for p in adalora.parameters() if p.grad is not None]
            if not bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients))):
                return
        move_ranks(adalora, state.global_step + 1)
