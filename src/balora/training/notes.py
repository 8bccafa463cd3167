"""What a user should know before the first step: settings that do nothing, or that are known to go wrong."""

from __future__ import annotations

from balora.losses import centered_shape, classification_spectral_k, spectral_share_is_constant
from balora.task import Task
from balora.training.config import BALoraConfig


class BaloraWarning(UserWarning):
    """A setting that is allowed but has no effect, or a risky one."""


def notes_on_objective(config: BALoraConfig, task: Task, *, classes: int, rows_per_batch: int) -> list[str]:
    """Terms that cannot act in this run, one sentence each.

    Args:
        config: the regularizers.
        task: what is learned.
        classes: outputs of the classifier.
        rows_per_batch: examples per device and micro-batch.
    """
    notes = []
    if task == "regression" and config.diversity_weight + config.spectral_weight > 0:
        notes.append(
            "regression has one output: consistency is the squared distance to the teacher; "
            "diversity and spectral are undefined and off"
        )
    if task == "classification":
        k = classification_spectral_k(config, classes)
        if config.spectral_weight > 0 and spectral_share_is_constant(k, rows_per_batch, classes, config.center):
            largest = min(centered_shape(rows_per_batch, classes, config.center)) - 1
            centred = "" if config.center == "none" else f" after center: {config.center}"
            way_out = (
                f"set spectral_k to {largest} or spectral_weight to 0" if largest > 0 else "set spectral_weight to 0"
            )
            notes.append(
                f"spectral_k {k:g} reaches min({rows_per_batch} rows, {classes} classes){centred}: the spectral term "
                f"is constant and has no gradient; {way_out}"
            )
        if config.diversity_weight > 0 and rows_per_batch < 2:
            notes.append("one row per batch has no covariance: the diversity term is 0; use larger batches")
    return notes
