"""Which adaptation method trains, at what rank, on which layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from balora.adapters.method_settings import MethodSettings
from balora.adapters.registry import METHODS, method_name


class AdapterConfig(MethodSettings):
    """How the pretrained model is adapted; names are PEFT's wherever PEFT has one.

    >>> AdapterConfig(method="pissa", r=16).scaling_alpha
    16
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "rank": "r",
        "lora_r": "r",
        "lora_rank": "r",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "lora_target_modules": "target_modules",
        "lora_target": "target_modules",
    }

    method: str = "pissa"
    """One of lora, rslora, dora, adalora, pissa, milora, olora, corda, corda++, lora_ga, eva, loraplus, lora_fa,
    bitfit, houlsby, pfeiffer, full; docs/methods.md has what each trains and needs."""
    r: int = Field(default=8, ge=1)
    """Rank of the update."""
    alpha: float | None = Field(default=None, gt=0)
    """Scaling numerator: the update is alpha/r·BA (alpha/√r·BA for rslora). Left out: alpha = r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input. PiSSA wants 0: otherwise the student does not start at the base."""
    target_modules: str | list[str] = "all-linear"
    """Module names, one regular expression, or `all-linear` for every linear layer of the body."""
    modules_to_save: list[str] | None = None
    """Modules trained in full beside the adapter. Left out: the task head for classification and regression,
    nothing for generation. Modules that the checkpoint does not hold are always added: they start at random."""
    svd: Literal["exact", "randomized"] = "exact"
    """PiSSA: how the principal factors are computed."""
    svd_iterations: int = Field(default=16, ge=0)
    """PiSSA with randomized svd: power iterations (the paper's runs used 16)."""
    fold_anchor: bool = False
    """Methods with an anchor: take it off the base weight instead of computing it beside the adapter. One product of
    rank r instead of 2r for the student and one more for the teacher; the base is then the pretrained one up to
    rounding, as in PEFT. The saved adapter is the same. Not on quantized bases; experts keep theirs beside."""
    seed: int = 0
    """Seed of the randomized svd and of random starts; saved with the run, independent of every other seed."""

    quantized_start: Literal["anchor", "residual"] = "anchor"
    """PiSSA on a quantized base. `anchor`: the base is the quantized weight, which student and teacher both start from.
    `residual`: as in QPiSSA what is left of the full-precision weight is quantized, with a smaller error; student and
    teacher start from that and the factors, and the run folder gets a base of its own."""
    quantized_start_iterations: int = Field(default=1, ge=1)
    """Start at the residual: how often factors and quantized residual are fitted to each other in turn."""
    quantization_error: Literal["none", "frobenius", "nuclear"] = "frobenius"
    """On a quantized base: measure how far the start is from the full-precision weights, layer by layer, which reads
    the checkpoint once more. `nuclear` takes an SVD per layer on top."""
    svd_cache: bool = False
    """PiSSA: keep the factors on disk by the content of each weight, so that repeated runs and sweeps skip the SVD.
    In BALORA_CACHE, else ~/.cache/balora, folder `factors`."""

    @field_validator("method", mode="after")
    @classmethod
    def _spell_as_registered(cls, value: str) -> str:
        return method_name(value)

    @model_validator(mode="after")
    def _check_method_settings(self) -> Self:
        if self.method not in METHODS:
            return self
        if self.fold_anchor and not METHODS[self.method].anchored:
            raise ValueError(f"fold_anchor is true, but {self.method} has no anchor; remove it")
        if self.fold_anchor and self.quantized_start == "residual":
            raise ValueError(
                "fold_anchor is for float bases, and quantized_start: residual for quantized ones; keep one"
            )
        if METHODS[self.method].start in ("corda", "corda++") and self.corda_mode == "kpm":
            if self.calibration.text is None:
                raise ValueError(
                    "corda_mode is 'kpm', which keeps what a general text is about, but calibration.text names none; "
                    "set adapter.calibration.text to a text file, or corda_mode: ipm"
                )
        elif self.calibration.text is not None and METHODS[self.method].start in ("lora_ga", "eva"):
            raise ValueError(f"calibration.text is set, but {self.method} starts from the task's own rows; remove it")
        if self.method == "adalora" and self.initial_rank <= self.r:
            raise ValueError(
                f"adalora_initial_rank is {self.initial_rank}, but ranks fall to r = {self.r} on the mean; "
                "set it above r, or leave it out"
            )
        if self.method == "adalora" and self.adalora_warmup + self.adalora_final >= 1:
            raise ValueError(
                f"adalora_warmup is {self.adalora_warmup:g} and adalora_final {self.adalora_final:g}, which leaves no "
                "step to move ranks; their sum must stay below 1"
            )
        return self

    @property
    def initial_rank(self) -> int:
        """AdaLoRA's rank of every layer at the start."""
        return math.ceil(1.5 * self.r) if self.adalora_initial_rank is None else self.adalora_initial_rank

    @property
    def scaling_alpha(self) -> float:
        """`alpha`, or `r` where it was left out."""
        return self.r if self.alpha is None else self.alpha

    def with_changes(self, **changes: Any) -> AdapterConfig:
        """A copy with some fields replaced and validated again."""
        return AdapterConfig(**{**self.model_dump(), **changes})
