"""What the objective is made of: weights, temperature, ranks, schedules, and which version of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from balora.settings import Settings

Form = Literal["nlu", "nlg"]
"""Classification and regression (nlu, equations 4-8) or generation (nlg, equations 9-12)."""

Formulation = Literal["2026", "2024"]
"""The paper's newest equations, or those of its first version (August 2024)."""

ScheduleName = Literal["constant", "cosine", "two_phase", "linear_warmup", "quadratic_warmup"]

PAPER_DEFAULTS: dict[tuple[Form, Formulation], dict[str, Any]] = {
    ("nlg", "2026"): {
        "consistency_weight": 0.025,
        "diversity_weight": 0.005,
        "spectral_weight": 0.005,
        "spectral_k": 10,
        "spectral_group_sequences": 4,
        "consistency_schedule": "cosine",
        "diversity_schedule": "two_phase",
        "spectral_schedule": "two_phase",
    },
    ("nlu", "2026"): {
        "consistency_weight": 0.15,
        "diversity_weight": 0.03,
        "spectral_weight": 0.03,
        "spectral_k": None,
    },
    ("nlg", "2024"): {
        "consistency_weight": 1e-4,
        "diversity_weight": 3e-4,
        "spectral_weight": 1e-4,
        "spectral_k": 0.3,
        "temperature": 1.0,
    },
    ("nlu", "2024"): {
        "consistency_weight": 1e-4,
        "diversity_weight": 4e-4,
        "spectral_weight": 1e-4,
        "spectral_k": 0.3,
        "temperature": 1.0,
    },
}
"""Where the two forms and the two versions of the paper differ; PAPER.md names the source of each number."""


class ObjectiveSettings(Settings):
    """The weights and shapes of the three regularizers.

    Fields left out take the paper's value for `form` and `formulation` (see `PAPER_DEFAULTS`).

    >>> ObjectiveSettings(form="nlg").consistency_weight
    0.025
    >>> ObjectiveSettings(form="nlu", spectral_weight=0).spectral_weight
    0.0
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "lambda1": "consistency_weight",
        "lambda2": "diversity_weight",
        "lambda3": "spectral_weight",
        "distill_temperature": "temperature",
        "entropy_top_k": "top_k",
        "svd_k": "spectral_k",
    }

    form: Form = "nlg"
    """`nlu` for classification and regression, `nlg` for generation."""
    formulation: Formulation = "2026"
    """`2026`: the paper's newest equations. `2024`: those of its first version."""
    consistency_weight: float = Field(default=0.0, ge=0)
    """Weight of the consistency term, the paper's λ1: stay close to the pretrained model."""
    diversity_weight: float = Field(default=0.0, ge=0)
    """Weight of the diversity term, the paper's λ2: do not collapse onto few outputs."""
    spectral_weight: float = Field(default=0.0, ge=0)
    """Weight of the spectral term, the paper's λ3: keep the batch's logits near low rank."""
    weight_penalty: float = Field(default=0.0, ge=0)
    """Weight of a penalty on the adapter's weights themselves, Σ‖s·(BA − B₀A₀)‖_F², the distance from the pretrained
    weights: a foil to the three terms on the outputs. Not in the paper's method."""
    temperature: float = Field(default=2.0, gt=0)
    """Softening T of both distributions in the consistency term."""
    top_k: int = Field(default=20, ge=1)
    """How many of the largest logits the generation form of the diversity term looks at, the paper's K."""
    spectral_k: int | float | None = None
    """How many singular values count as the top ones, the paper's k. A fraction below 1 is a share of
    min(rows, columns). Left out for classification: min(5, classes - 1), because the term is constant from
    k = classes on."""
    spectral_group_sequences: int | None = Field(default=None, ge=1)
    """Generation: the spectral term is computed over groups of this many sequences and averaged, so that it does not
    depend on the micro-batch. The authors' runs had 4 per device. Null: one group per micro-batch."""
    spectral_variance_weight: float = Field(default=1e-4, ge=0)
    """α of the 2024 generation form: weight of the variance of the top singular values. The paper gives no value."""
    center: Literal["none", "batch", "batch_and_class"] = "none"
    """What is subtracted from the logits before the spectral term: nothing (the paper), the mean row, or the mean
    row and the mean column. Not in the paper."""
    regularized_tokens: Literal["response", "response_unshifted", "all"] = "response"
    """Generation: which positions the three terms see. `response`: those that predict a supervised token.
    `response_unshifted`: the authors' code, one position later. `all`: every position that is not padding."""
    consistency_schedule: ScheduleName | Literal["teacher_confidence"] = "constant"
    """How the consistency weight moves over the run."""
    diversity_schedule: ScheduleName = "constant"
    """How the diversity weight moves over the run."""
    spectral_schedule: ScheduleName = "constant"
    """How the spectral weight moves over the run."""
    schedule_floor: float = Field(default=0.1, ge=0, le=1)
    """Share of the weight that the cosine and the teacher_confidence schedule keep at their lowest."""
    schedule_warmup: float = Field(default=0.2, ge=0, lt=1)
    """Share of all steps during which a two_phase term is off, or a warm-up rises."""
    schedule_ramp: float = Field(default=0.05, ge=0, le=1)
    """Share of all steps over which a two_phase term rises from 0 to its weight."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_paper_defaults(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = cls.with_field_names(data)
        form, formulation = given.get("form", "nlg"), given.get("formulation", "2026")
        defaults = next((d for key, d in PAPER_DEFAULTS.items() if key == (form, formulation)), {})
        return defaults | given

    @model_validator(mode="after")
    def _check_spectral_k(self) -> Self:
        k = self.spectral_k
        if k is not None and not (0 < k < 1 or (k >= 1 and float(k).is_integer())):
            raise ValueError(f"spectral_k is {k}; expected a whole number from 1 on, or a share between 0 and 1")
        return self
