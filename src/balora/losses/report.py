"""`LossReport`: what an objective returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossReport:
    """The total to differentiate and what it is made of.

    Terms are raw, before their weight; `total = task + Σ weights[term]·term`, penalties included. A term whose weight
    is 0 is not computed and reads 0.
    """

    total: Tensor
    """Scalar with gradient."""
    task: Tensor
    """Scalar: cross-entropy (nats) or squared error."""
    consistency: Tensor
    """Scalar: equation 4 or 9."""
    diversity: Tensor
    """Scalar: equation 5 or 10."""
    spectral: Tensor
    """Scalar: equation 7 or 11."""
    valid_tokens: int
    """Rows that carried a label: supervised tokens, or examples."""
    weights: Mapping[str, Tensor | float] = field(default_factory=dict)
    """The weights that were applied, by term and penalty."""
    penalties: Mapping[str, Tensor] = field(default_factory=dict)
    """Further terms that come from weights, not from outputs, raw, by name."""

    def term(self, name: str) -> Tensor:
        """A raw term by its name: task, consistency, diversity, spectral, or a penalty's."""
        terms = {"consistency": self.consistency, "diversity": self.diversity, "spectral": self.spectral}
        return {"task": self.task, **terms, **self.penalties}[name]

    def with_penalty(self, name: str, weight: float, value: Tensor) -> Self:
        """The report with weight·value added to the total."""
        total = self.total + weight * value.to(self.total.device)
        weights, penalties = {**self.weights, name: weight}, {**self.penalties, name: value}
        return replace(self, total=total, weights=weights, penalties=penalties)
