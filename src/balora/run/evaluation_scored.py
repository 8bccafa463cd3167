"""What a model reached on a suite, in a form from which every score of any of its items can be computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora.evaluation.resampling import Score

Tell = Callable[[int, int], None]
"""Items that are done, and all."""


@dataclass(frozen=True)
class Scored:
    """What a model reached on a suite; every score can be computed on any of the items."""

    scores: Mapping[str, Score]
    """Name -> score of rows, the main one first."""
    outcomes: Mapping[str, NDArray[np.generic]]
    """The 0 or 1 of each item, for scores that are their mean."""
    clusters: tuple[str, ...]
    """Per item; items of one name are resampled together."""
    prompt_sha256: str
    harness: str
    generation: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Counts worth knowing."""
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> int:
        """How many."""
        return len(self.clusters)
