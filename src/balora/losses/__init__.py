"""The paper's equations as pure tensor functions; nothing here knows Hugging Face."""

from balora.losses.consistency import consistency_kl, consistency_mse, normalized_mse
from balora.losses.diversity import covariance_diversity, focused_entropy, full_entropy
from balora.losses.fused import FusedOptions, fused_generation_objective
from balora.losses.gram import HeadGram, SpectralMemory
from balora.losses.objective import (
    BatchPart,
    ClassificationObjective,
    GenerationObjective,
    Objective,
    RegressionObjective,
    classification_spectral_k,
)
from balora.losses.report import LossReport
from balora.losses.schedule import TERMS, schedule_factor, scheduled_weights
from balora.losses.settings import ObjectiveSettings
from balora.losses.spectral import (
    centered_shape,
    spectral_concentration,
    spectral_share,
    spectral_share_and_variance,
    spectral_share_is_constant,
)
from balora.losses.weight_penalty import update_norm_squared

__all__ = [
    "TERMS",
    "BatchPart",
    "ClassificationObjective",
    "FusedOptions",
    "GenerationObjective",
    "HeadGram",
    "LossReport",
    "Objective",
    "ObjectiveSettings",
    "RegressionObjective",
    "SpectralMemory",
    "centered_shape",
    "classification_spectral_k",
    "consistency_kl",
    "consistency_mse",
    "covariance_diversity",
    "focused_entropy",
    "full_entropy",
    "fused_generation_objective",
    "normalized_mse",
    "schedule_factor",
    "scheduled_weights",
    "spectral_concentration",
    "spectral_share",
    "spectral_share_and_variance",
    "spectral_share_is_constant",
    "update_norm_squared",
]
