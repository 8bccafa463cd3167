"""`BALoraConfig`: everything that makes a fine-tune BA-LoRA beyond its adapter, in one object."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from balora.losses.settings import ObjectiveSettings
from balora.teacher.settings import TeacherSettings


class BALoraConfig(ObjectiveSettings, TeacherSettings):
    """The regularizers and their teacher; the recipe section `regularizers`.

    Make one with `nlu()` (classification, regression) or `nlg()` (generation); each starts from the paper's values.

    >>> BALoraConfig.nlu().consistency_weight
    0.15
    >>> BALoraConfig.nlg(spectral_weight=0.0).diversity_weight
    0.005
    """

    loss_path: Literal["auto", "explicit"] = "auto"
    """Generation: `auto` works on the states before the head and never makes the logits of a batch, where the model
    allows it; `explicit` always makes them. Both give the same numbers up to rounding."""
    padding_free: bool | Literal["auto"] = "auto"
    """Decoder-only generation: run student and teacher on the real tokens only, all sequences of a micro-batch in one
    row. `auto`: where flash attention is used; with other attention `true` pays for few or short sequences only."""
    compile_loss: bool | Literal["auto"] = "auto"
    """Compile what runs between the matrix products of the path without logits. `auto`: on CUDA. The compiled
    function is compared with the plain one first; where they differ or the compiler fails, the plain one runs."""
    loss_chunk_mib: int | None = Field(default=None, ge=1)
    """Working memory, in MiB, that the loss may use at a time on the path without logits; at least 64 rows fit. Left
    out: 128 on a CPU, 512 on a GPU."""

    @classmethod
    def nlu(cls, **changes: Any) -> Self:
        """The classification form (equations 4-8) with the paper's weights."""
        return cls(form="nlu", **changes)

    @classmethod
    def nlg(cls, **changes: Any) -> Self:
        """The generation form (equations 9-12) with the paper's weights and schedules."""
        return cls(form="nlg", **changes)

    @classmethod
    def off(cls, form: str = "nlg") -> Self:
        """No regularizer at all: plain fine-tuning with the same adapter, data and trainer."""
        return cls(form=form, consistency_weight=0.0, diversity_weight=0.0, spectral_weight=0.0)

    @property
    def active(self) -> bool:
        """Whether any term has a weight, the penalty on the adapter's weights included."""
        weights = (self.consistency_weight, self.diversity_weight, self.spectral_weight, self.weight_penalty)
        return max(weights) > 0
