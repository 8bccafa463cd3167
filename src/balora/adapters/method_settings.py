"""What single methods can be told beyond rank and targets; each field's help names the method that reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from balora.settings import Settings


class CalibrationSettings(Settings):
    """The sample from which corda, corda++, lora_ga and eva compute their start.

    >>> CalibrationSettings().samples
    256
    """

    text: str | None = None
    """A general text: a file of the kinds that `data.train` takes, with texts in a column `text` (csv, json, jsonl,
    parquet) or one per line (txt); may end in a slice. Left out: rows of the training split. `corda_mode: kpm` needs
    one, because it keeps what the sample is about."""
    samples: int = Field(default=256, ge=1)
    """How many rows are drawn; all of them where there are fewer."""
    batch_size: int = Field(default=8, ge=1)
    """lora_ga and eva: rows per forward pass."""
    seed: int = 0
    """Seed of the draw; recorded with the run."""


class MethodSettings(Settings):
    """Settings of single methods; the others ignore them."""

    calibration: CalibrationSettings = CalibrationSettings()
    """corda, corda++, lora_ga, eva: the sample that the start is computed from."""
    corda_mode: Literal["ipm", "kpm"] = "ipm"
    """corda, corda++: `ipm` trains the directions that matter most to the sample (of the task), `kpm` those that
    matter least (to general knowledge, which is kept)."""
    corda_candidates: int = Field(default=4, ge=1)
    """corda++: how many covariances, each from its share of the sample, a layer chooses from. The paper's number is
    not known to us."""
    eva_rho: float = Field(default=2.0, ge=1)
    """eva: a layer's rank is at most this times r; 1 keeps every rank at r."""
    eva_tau: float = Field(default=0.99, ge=0, le=1)
    """eva: how alike directions must be between two batches, as a cosine, to count as settled."""
    lora_ga_direction: Literal["ArBr", "A2rBr", "ArB2r", "random"] = "ArB2r"
    """lora_ga: which singular vectors of the gradient go to A and to B."""
    lora_ga_scale: Literal["stable", "weight_svd", "gd_scale", "unit"] = "stable"
    """lora_ga: how large the start is."""
    lora_ga_gamma: int = Field(default=16, ge=1)
    """lora_ga: γ of the stable scale."""
    loraplus_ratio: float = Field(default=16.0, ge=1)
    """loraplus: the learning rate of B over that of A."""
    adalora_initial_rank: int | None = Field(default=None, ge=2)
    """adalora: rank of every layer at the start, above r, which is the mean rank at the end. Left out: 1.5·r, rounded
    up."""
    adalora_warmup: float = Field(default=0.1, ge=0, lt=1)
    """adalora: share of the steps before ranks begin to fall."""
    adalora_final: float = Field(default=0.3, ge=0, lt=1)
    """adalora: share of the steps at the end, during which ranks stay as they are."""
    adalora_interval: int = Field(default=1, ge=1)
    """adalora: steps between two allocations."""
    adalora_orthogonality: float = Field(default=0.5, ge=0)
    """adalora: weight of the term that keeps its factors orthogonal, PEFT's orth_reg_weight."""
    bottleneck: int = Field(default=64, ge=1)
    """houlsby, pfeiffer: size of the bottleneck."""
    bottleneck_activation: Literal["gelu", "relu", "silu"] | None = None
    """houlsby, pfeiffer: the function inside. Left out: gelu for houlsby, relu for pfeiffer, as their authors have
    it."""
