"""Loading: pretrained model, tokenizer and configuration, by name, format and revision."""

from balora.models.contents import weight_problems
from balora.models.fingerprint import LARGE_BYTES, BaseFingerprint, contents_sha256, differences, fingerprint_of
from balora.models.load import (
    LoadedModel,
    build_empty_model,
    check_vocabulary,
    load_config,
    load_masked_model,
    load_model,
    max_positions,
)
from balora.models.quantization import quantization_problem
from balora.models.settings import ModelSettings
from balora.models.tokenizer import load_tokenizer
from balora.models.trust import check_adapter

__all__ = [
    "LARGE_BYTES",
    "BaseFingerprint",
    "LoadedModel",
    "ModelSettings",
    "build_empty_model",
    "check_adapter",
    "check_vocabulary",
    "contents_sha256",
    "differences",
    "fingerprint_of",
    "load_config",
    "load_masked_model",
    "load_model",
    "load_tokenizer",
    "max_positions",
    "quantization_problem",
    "weight_problems",
]
