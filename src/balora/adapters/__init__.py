"""Low-rank weights: which layers get them, how they start, and how they are saved; the base is never modified."""

from balora.adapters.attach import adapted_layers, attach_adapter, check_targets
from balora.adapters.checkpoint_weights import CheckpointWeights
from balora.adapters.count import ParameterCounts, count_parameters
from balora.adapters.factor_cache import FactorCache
from balora.adapters.factors import principal_factors, randomized_svd
from balora.adapters.model import AdaptedModel
from balora.adapters.quantization_error import QuantizationErrors, WeightNorms, over_all, quantization_errors
from balora.adapters.quantized import quantized_layers, steady_quantized_layers
from balora.adapters.registry import METHODS, Method, find_method
from balora.adapters.residual_base import RESIDUAL_BASE, save_residual_base
from balora.adapters.settings import AdapterConfig
from balora.adapters.state import load_start, load_trainable_state, save_trainable_state
from balora.adapters.streaming import Streamed, stream_factors
from balora.adapters.switch import adapters_off
from balora.adapters.targets import head_modules, resolve_targets
from balora.adapters.translate import adapter_config_from_peft

__all__ = [
    "METHODS",
    "RESIDUAL_BASE",
    "AdaptedModel",
    "AdapterConfig",
    "CheckpointWeights",
    "FactorCache",
    "Method",
    "ParameterCounts",
    "QuantizationErrors",
    "Streamed",
    "WeightNorms",
    "adapted_layers",
    "adapter_config_from_peft",
    "adapters_off",
    "attach_adapter",
    "check_targets",
    "count_parameters",
    "find_method",
    "head_modules",
    "load_start",
    "load_trainable_state",
    "over_all",
    "principal_factors",
    "quantization_errors",
    "quantized_layers",
    "randomized_svd",
    "resolve_targets",
    "save_residual_base",
    "save_trainable_state",
    "steady_quantized_layers",
    "stream_factors",
]
