"""What is trained beside the base: which layers get it, how it starts, how it is saved; the base is never modified."""

from balora.adapters.adalora import adalora_of, move_ranks, orthogonality, plan_ranks
from balora.adapters.additions import BOTTLENECK_CONFIG, BOTTLENECK_WEIGHTS, load_bottlenecks
from balora.adapters.attach import adapted_layers, attach_adapter, check_targets
from balora.adapters.calibration import Calibration, draw_rows
from balora.adapters.count import ParameterCounts, count_parameters
from balora.adapters.factors import principal_factors, randomized_svd
from balora.adapters.identity import config_of
from balora.adapters.model import AdaptedModel
from balora.adapters.registry import METHODS, Method, find_method
from balora.adapters.settings import AdapterConfig
from balora.adapters.state import load_start, load_trainable_state, save_trainable_state
from balora.adapters.switch import adapters_off, has_adapter
from balora.adapters.targets import head_modules, resolve_targets
from balora.adapters.translate import adapter_config_from_peft
from balora.adapters.updates import WeightUpdate, weight_updates

__all__ = [
    "BOTTLENECK_CONFIG",
    "BOTTLENECK_WEIGHTS",
    "METHODS",
    "AdaptedModel",
    "AdapterConfig",
    "Calibration",
    "Method",
    "ParameterCounts",
    "WeightUpdate",
    "adalora_of",
    "adapted_layers",
    "adapter_config_from_peft",
    "adapters_off",
    "attach_adapter",
    "check_targets",
    "config_of",
    "count_parameters",
    "draw_rows",
    "find_method",
    "has_adapter",
    "head_modules",
    "load_bottlenecks",
    "load_start",
    "load_trainable_state",
    "move_ranks",
    "orthogonality",
    "plan_ranks",
    "principal_factors",
    "randomized_svd",
    "resolve_targets",
    "save_trainable_state",
    "weight_updates",
]
