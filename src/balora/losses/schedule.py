"""How a term's weight moves over the run."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from balora.losses.settings import ObjectiveSettings, ScheduleName

TERMS = ("consistency", "diversity", "spectral")
"""The three regularizers, in the order of the paper's λ1, λ2, λ3."""


def schedule_factor(
    name: ScheduleName,
    step: int,
    total_steps: int,
    *,
    floor: float = 0.1,
    warmup: float = 0.2,
    ramp: float = 0.05,
) -> float:
    """The factor on a weight at optimiser step `step` (0-based) of `total_steps`.

        constant          1
        cosine            floor + (1 − floor) · ½(1 + cos(π t/S))
        two_phase         0 for t < w; (t − w)/ρ for w ≤ t < w + ρ; then 1      w = ⌊warmup·S⌋, ρ = max(⌊ramp·S⌋, 1)
        linear_warmup     t/w, at most 1
        quadratic_warmup  (t/w)², at most 1

    Raises:
        ValueError: on a name that is not in the list.

    Example:
        >>> [schedule_factor("two_phase", t, 1000) for t in (0, 199, 225, 250)]
        [0.0, 0.0, 0.5, 1.0]

    Source: the authors' newest code; the paper names "cosine" and "two_phase" without their numbers.
    """
    warmup_steps = math.floor(warmup * total_steps)
    ramp_steps = max(math.floor(ramp * total_steps), 1)
    match name:
        case "constant":
            return 1.0
        case "cosine":
            progress = min(step / max(total_steps, 1), 1.0)
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
        case "two_phase":
            return min(max((step - warmup_steps) / ramp_steps, 0.0), 1.0)
        case "linear_warmup":
            return min(step / max(warmup_steps, 1), 1.0)
        case "quadratic_warmup":
            return min(step / max(warmup_steps, 1), 1.0) ** 2
    raise ValueError(f"unknown schedule {name!r}")


def scheduled_weights(settings: ObjectiveSettings, step: int, total_steps: int) -> dict[str, float]:
    """Every term's weight at a step; under `teacher_confidence` the consistency weight is its upper end."""
    base = {
        "consistency": (settings.consistency_weight, settings.consistency_schedule),
        "diversity": (settings.diversity_weight, settings.diversity_schedule),
        "spectral": (settings.spectral_weight, settings.spectral_schedule),
    }
    return {
        term: weight
        * schedule_factor(
            "constant" if name == "teacher_confidence" else name,
            step,
            total_steps,
            floor=settings.schedule_floor,
            warmup=settings.schedule_warmup,
            ramp=settings.schedule_ramp,
        )
        for term, (weight, name) in base.items()
    }


def teacher_confidence_factor(teacher_rows: Tensor, *, floor: float) -> Tensor:
    """Follow the teacher where it is sure: floor + (1 − floor)·(1 − H̄/log V), H̄ its mean entropy over the rows.

    Args:
        teacher_rows: (M, V) logits.
        floor: the factor for a teacher that is uniform everywhere.

    Returns:
        Scalar between `floor` and 1 without gradient; 1 when there is no row.

    Source: the authors' newest code ("adaptive"); not in the paper.
    """
    if teacher_rows.shape[0] == 0 or teacher_rows.shape[1] < 2:
        return teacher_rows.new_ones(())
    log_probability = torch.log_softmax(teacher_rows.detach().float(), dim=-1)
    entropy = -(log_probability.exp() * log_probability).sum(dim=-1).mean()
    return floor + (1 - floor) * (1 - entropy / math.log(teacher_rows.shape[1]))
