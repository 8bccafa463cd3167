"""Where the reference outputs come from, and whether they are checked before training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from balora.settings import Settings


class TeacherSettings(Settings):
    """The frozen pretrained model that the consistency term compares with."""

    teacher: Literal["auto", "live", "cached"] = "auto"
    """`live`: adapters off on every batch. `cached`: outputs computed once per example and kept on disk; class logits,
    or for generation the states before the head of every supervised token, whose size is announced. `auto`: cached
    for classification and regression of more than one epoch, else live."""
    teacher_head: Literal["initial", "linear_probe"] = "initial"
    """Classification: the teacher's head. `initial`: the head as it starts (random for a fresh head, as in the paper).
    `linear_probe`: the last layer is first fitted on the frozen features; student and teacher both start from it."""
    teacher_cache_dir: Path | None = None
    """Folder of the teacher cache. Left out: BALORA_CACHE, else ~/.cache/balora."""
    teacher_fraction: float | Literal["schedule"] = Field(default=1.0)
    """Generation: the share of a micro-batch's sequences that the teacher looks at, drawn anew each time and scaled up,
    so that the expected gradient stays the same and its variance grows. `schedule`: the share follows the consistency
    schedule and the weight stays at its start, so that a falling weight saves teacher time. 1: every sequence."""
    self_check: bool = True
    """Before the first step compare student, teacher and pretrained model on a batch, and stop on a gap."""
    self_check_tolerance: float | None = Field(default=None, gt=0)
    """Largest allowed gap, relative to the largest logit. Left out: by number format."""

    @field_validator("teacher_fraction", mode="after")
    @classmethod
    def _check_fraction(cls, value: float | str) -> float | str:
        if not isinstance(value, str) and not 0 < value <= 1:
            raise ValueError(f"is {value:g}; expected a share above 0 and at most 1, or schedule")
        return value
