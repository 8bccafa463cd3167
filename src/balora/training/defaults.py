"""What a recipe trains with where its section `training` is silent; written into the resolved recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from balora.task import Task

LEARNING_RATES: Mapping[Task, float] = {"classification": 3e-4, "regression": 3e-4, "generation": 2e-5}
"""For adapters: from the paper's range for GLUE what did best on CoLA (docs/log.md), and its rate for generation."""
FULL_LEARNING_RATE = 2e-5
"""For `method: full`."""


def missing_training_settings(given: Mapping[str, Any], task: Task, *, full: bool) -> dict[str, Any]:
    """The settings that shape a run and that `given` leaves out, with their values.

    Args:
        given: checked settings under today's names.
        task: what is learned.
        full: whether every weight is trained.

    >>> missing_training_settings({"max_steps": 10}, "generation", full=False)["learning_rate"]
    2e-05
    """
    defaults: dict[str, Any] = {
        "learning_rate": FULL_LEARNING_RATE if full else LEARNING_RATES[task],
        "num_train_epochs": 3,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "seed": 42,
    }
    if given.get("max_steps", -1) > 0:
        del defaults["num_train_epochs"]
    return {name: value for name, value in defaults.items() if name not in given}
