"""Which scores are computed while and after training."""

from __future__ import annotations

from pydantic import Field

from balora.settings import Settings


class EvaluationSettings(Settings):
    """Scores on the validation split."""

    metrics: list[str] | None = None
    """Names from the metric table. Left out: those of the preset, else those usual for the task."""
    batch_size: int | None = Field(default=None, ge=1)
    """Rows per device and batch. Left out: twice the training batch."""
