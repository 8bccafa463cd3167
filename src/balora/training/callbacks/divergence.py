"""Stop before a non-finite update reaches the weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.errors import DivergedError
from balora.training.terms import TermLog


class DivergenceGuard(TrainerCallback):
    """Checks every term and the gradient once per optimiser step; the last good checkpoint stays good."""

    def __init__(self, terms: TermLog) -> None:
        self.terms = terms

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Raise before the update when something is not finite.

        Raises:
            DivergedError: names the step and what is not finite.
        """
        del control
        values = dict(self.terms.end_step())
        gradients = [p.grad for p in kwargs["model"].parameters() if p.grad is not None]
        if gradients and not args.fp16:
            # Under float16 the loss scaler expects overflows and skips such steps itself.
            values["gradient"] = torch.nn.utils.get_total_norm(gradients)
        if not values:
            return
        device = next(iter(values.values())).device
        finite = torch.isfinite(torch.stack([value.float().to(device) for value in values.values()]))
        if not finite.all():
            bad = [name for name, good in zip(values, finite.tolist(), strict=True) if not good]
            raise DivergedError(
                f"step {state.global_step + 1}: {', '.join(bad)} not finite; stopped before the update, so the weights "
                "and every checkpoint are still good; lower the learning rate or look at the batch"
            )
