"""What is trained beside the base: which layers get it, how it starts, how it is saved; the base is never modified."""

from balora.adapters.adalora import adalora_of, move_ranks, orthogonality, plan_ranks
from balora.adapters.additions import BOTTLENECK_CONFIG, BOTTLENECK_WEIGHTS, load_bottlenecks
from balora.adapters.attach import attach_adapter, check_targets
from balora.adapters.begin import adapted_layers
from balora.adapters.calibration import Calibration, draw_rows
from balora.adapters.checkpoint_weights import CheckpointWeights
from balora.adapters.count import ParameterCounts, count_parameters
from balora.adapters.factor_cache import FactorCache
from balora.adapters.factors import principal_factors, randomized_svd
from balora.adapters.identity import config_of
from balora.adapters.model import AdaptedModel, adapter_only
from balora.adapters.quantization_error import QuantizationErrors, WeightNorms, over_all, quantization_errors
from balora.adapters.quantized import quantized_layers, steady_quantized_layers
from balora.adapters.quantized_start import taken_off_base
from balora.adapters.registry import METHODS, Method, find_method
from balora.adapters.residual_base import RESIDUAL_BASE, save_residual_base
from balora.adapters.settings import AdapterConfig
from balora.adapters.sharding import local, spread_optimizer_state, whole_nested, whole_state
from balora.adapters.state import (
    copy_into,
    load_start,
    load_trainable_state,
    save_trainable_state,
    whole_trainable_state,
)
from balora.adapters.streaming import Streamed, stream_factors
from balora.adapters.switch import adapters_off, has_adapter
from balora.adapters.targets import head_modules, resolve_targets
from balora.adapters.translate import adapter_config_from_peft
from balora.adapters.updates import WeightUpdate, weight_updates

__all__ = [
    "BOTTLENECK_CONFIG",
    "BOTTLENECK_WEIGHTS",
    "METHODS",
    "RESIDUAL_BASE",
    "AdaptedModel",
    "AdapterConfig",
    "Calibration",
    "CheckpointWeights",
    "FactorCache",
    "Method",
    "ParameterCounts",
    "QuantizationErrors",
    "Streamed",
    "WeightNorms",
    "WeightUpdate",
    "adalora_of",
    "adapted_layers",
    "adapter_config_from_peft",
    "adapter_only",
    "adapters_off",
    "attach_adapter",
    "check_targets",
    "config_of",
    "copy_into",
    "count_parameters",
    "draw_rows",
    "find_method",
    "has_adapter",
    "head_modules",
    "load_bottlenecks",
    "load_start",
    "load_trainable_state",
    "local",
    "move_ranks",
    "orthogonality",
    "over_all",
    "plan_ranks",
    "principal_factors",
    "quantization_errors",
    "quantized_layers",
    "randomized_svd",
    "resolve_targets",
    "save_residual_base",
    "save_trainable_state",
    "spread_optimizer_state",
    "steady_quantized_layers",
    "stream_factors",
    "taken_off_base",
    "weight_updates",
    "whole_nested",
    "whole_state",
    "whole_trainable_state",
]
