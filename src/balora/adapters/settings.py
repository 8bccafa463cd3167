"""Which adaptation method trains, at what rank, on which layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from balora.settings import Settings


class AdapterConfig(Settings):
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
    """One of the methods in the registry: lora, rslora, dora, pissa, full."""
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

    @property
    def scaling_alpha(self) -> float:
        """`alpha`, or `r` where it was left out."""
        return self.r if self.alpha is None else self.alpha

    def with_changes(self, **changes: Any) -> AdapterConfig:
        """A copy with some fields replaced and validated again."""
        return AdapterConfig(**{**self.model_dump(), **changes})
