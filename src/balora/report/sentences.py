"""A sentence of a report's summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "warning"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing to know; a warning stands out."""

    text: str
    tone: Tone = "plain"
