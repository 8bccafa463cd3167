"""Put an adapter on a pretrained model, by the registry's row for its method."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from peft import LoraConfig, TaskType
from peft.tuners.lora.layer import LoraLayer
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.adalora import adalora_config
from balora.adapters.additions import attach_additions, check_additions, has_additions
from balora.adapters.anchor import ADAPTER_NAME, anchor_layer
from balora.adapters.calibration import Calibration
from balora.adapters.factors import layer_seed, principal_factors
from balora.adapters.identity import remember_config
from balora.adapters.model import ADAPTED_MODELS, AdaptedModel, refuse_weighted_adapter
from balora.adapters.precision import train_in_float32
from balora.adapters.registry import Method, find_method
from balora.adapters.settings import AdapterConfig
from balora.adapters.starts import CHECKS, STARTS
from balora.adapters.starts.plan import Setting, Start
from balora.adapters.targets import (
    check_saved_modules,
    fresh_modules,
    head_modules,
    outside,
    resolve_targets,
    short_targets,
    untrained_pooler,
)
from balora.errors import ModelError
from balora.task import Task

BASE_PREFIX = "base_model.model."
"""What PEFT puts before a layer's name in the pretrained model."""


def attach_adapter(
    model: PreTrainedModel,
    config: AdapterConfig,
    task: Task | None = None,
    *,
    fresh_parameters: Sequence[str] | None = None,
    calibration: Calibration | None = None,
) -> PreTrainedModel | AdaptedModel:
    """Adapt a pretrained model; its own weights stay bitwise as they are.

    Args:
        model: a transformers model, not adapted yet; for classification and regression with its head.
        config: method, rank, targets.
        task: what the model is for; read off the model when left out.
        fresh_parameters: names that the checkpoint did not hold (transformers' `missing_keys`). Their modules start
            at random, so they are trained and saved in full. Where they are not known, a body's pooler whose bias is
            exactly 0 counts as fresh for classification and regression.
        calibration: the sample that corda, corda++, lora_ga and eva start from.

    Returns:
        For low-rank methods a `peft.PeftModel`: only the adapter, the task head and what is fresh train. For bitfit,
        houlsby and pfeiffer the model itself with small modules on its layers' outputs, and for `full` with every
        weight trainable.

    Raises:
        ModelError: unknown method, names that match nothing, a rank above a layer's smaller side, a model that has
            an adapter already, float16 weights under `full`, a start that cannot be computed from its sample.
    """
    method = find_method(config.method)
    if has_additions(model) or any(isinstance(module, LoraLayer) for module in model.modules()):
        fix = "start from the pretrained model, without get_peft_model"
        raise ModelError.at("adapter", "the model has a LoRA adapter already", fix)
    if not method.keeps_base:
        return remember_config(train_everything(model), config)
    task_type = peft_task_type(model, task)
    saved = saved_modules(model, config, task_type, fresh_parameters)
    if not method.low_rank:
        return remember_config(attach_additions(model, config, saved), config)
    chosen = check_targets(model, config, saved)
    adapted = attach_low_rank(model, config, task_type, chosen=chosen, saved=saved, calibration=calibration)
    return remember_config(adapted, config)


def attach_low_rank(
    model: PreTrainedModel,
    config: AdapterConfig,
    task_type: TaskType,
    *,
    chosen: list[str],
    saved: list[str],
    calibration: Calibration | None,
) -> AdaptedModel:
    """A LoRA-shaped adapter on the chosen layers, at the method's start."""
    method = find_method(config.method)
    start = None
    if method.start in STARTS:
        start = STARTS[method.start](Setting(model, tuple(chosen), config, calibration))
        chosen = [name for name in chosen if start.ranks.get(name) != 0]
    targets = short_targets(model, chosen)
    if method.name == "adalora":
        peft_config = adalora_config(config, targets, saved, task_type)
    else:
        peft_config = lora_config(config, method, targets, saved, task_type)
    if start is not None:
        set_ranks(peft_config, start)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT asks transformers for a property under its old name.
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
        torch.manual_seed(config.seed)
        adapted = ADAPTED_MODELS[task_type](model, _describe_base(peft_config, model, chosen), ADAPTER_NAME)
        train_in_float32(model)
    if method.principal_start:
        start_at_principal_factors(adapted, config)
    elif start is not None:
        start_at_planned_factors(adapted, start, anchored=method.anchored)
    if method.use_dora:
        measure_magnitudes(adapted)
    if method.optimizer == "lora_fa":
        freeze_down_factors(adapted)
    return adapted


def set_ranks(peft_config: LoraConfig, start: Start) -> None:
    """Write the ranks that differ from r into PEFT's configuration; every layer keeps the scaling alpha/r."""
    ranks = {name: rank for name, rank in start.ranks.items() if rank}
    scaling = peft_config.lora_alpha / peft_config.r
    peft_config.rank_pattern = ranks
    peft_config.alpha_pattern = {name: scaling * rank for name, rank in ranks.items()}


def freeze_down_factors(adapted: AdaptedModel) -> None:
    """LoRA-FA trains B alone; A stays where it started."""
    for _, layer in adapted_layers(adapted):
        layer.lora_A[ADAPTER_NAME].requires_grad_(False)


def train_everything(model: PreTrainedModel) -> PreTrainedModel:
    """Full fine-tuning.

    Raises:
        ModelError: for float16 weights, whose updates and gradients leave the format's range.
    """
    if any(parameter.dtype == torch.float16 for parameter in model.parameters()):
        fix = "load it in bfloat16 or float32 (model.dtype)"
        raise ModelError.at("adapter.method", "full fine-tuning cannot train float16 weights", fix)
    return model.requires_grad_(True)


def saved_modules(
    model: PreTrainedModel, config: AdapterConfig, task_type: TaskType, fresh: Sequence[str] | None
) -> list[str]:
    """The modules that train in full: the user's choice or else the task head, and whatever starts at random."""
    classifies = task_type == TaskType.SEQ_CLS
    if config.modules_to_save is not None:
        saved = list(config.modules_to_save)
    else:
        saved = head_modules(model) if classifies else []
    if fresh is not None:
        return saved + outside(saved, fresh_modules(model, fresh))
    return saved + outside(saved, untrained_pooler(model) if classifies else [])


def lora_config(
    config: AdapterConfig, method: Method, targets: list[str], saved: list[str], task_type: TaskType
) -> LoraConfig:
    """PEFT's configuration of the trained adapter; the start is plain LoRA's, an anchored method replaces it after."""
    alpha = config.scaling_alpha
    return LoraConfig(
        r=config.r,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        modules_to_save=list(saved) or None,
        use_rslora=method.use_rslora,
        use_dora=method.use_dora,
        task_type=task_type,
        bias="none",
    )


def _describe_base(peft_config: LoraConfig, model: PreTrainedModel, chosen: list[str]) -> LoraConfig:
    """Add what PEFT would otherwise guess with a warning, or leave out: the base's name and its weight layout."""
    peft_config.base_model_name_or_path = model.name_or_path or None
    peft_config.fan_in_fan_out = all(isinstance(model.get_submodule(name), Conv1D) for name in chosen)
    return peft_config


def start_at_principal_factors(adapted: AdaptedModel, config: AdapterConfig) -> None:
    """PiSSA's start with an anchor on every adapted layer."""
    for name, layer in adapted_layers(adapted):
        factors = principal_factors(
            frozen_weight(layer),
            config.r,
            scaling=layer.scaling[ADAPTER_NAME],
            svd=config.svd,
            iterations=config.svd_iterations,
            seed=layer_seed(config.seed, name),
        )
        anchor_layer(layer, factors)
    leave_anchors_alone(adapted)


def start_at_planned_factors(adapted: AdaptedModel, start: Start, *, anchored: bool) -> None:
    """The start that was computed before the adapter was attached, on every adapted layer."""
    for name, layer in adapted_layers(adapted):
        factors = start.factors(name.removeprefix(BASE_PREFIX), frozen_weight(layer), layer.scaling[ADAPTER_NAME])
        if anchored:
            anchor_layer(layer, factors)
            continue
        with torch.no_grad():
            layer.lora_A[ADAPTER_NAME].weight.copy_(factors.down)
            layer.lora_B[ADAPTER_NAME].weight.copy_(factors.up)
    if anchored:
        leave_anchors_alone(adapted)


def leave_anchors_alone(adapted: AdaptedModel) -> None:
    """Keep what knows nothing of anchors from copying or dropping them."""
    # Anchors never change: copying them between processes at every forward would be waste.
    anchors = [name for name, _ in adapted.named_buffers() if f".anchor.{ADAPTER_NAME}." in name]
    adapted.__dict__["_ddp_params_and_buffers_to_ignore"] = anchors
    adapted.base_model.__dict__["add_weighted_adapter"] = refuse_weighted_adapter


def measure_magnitudes(adapted: AdaptedModel) -> None:
    """Start DoRA's magnitudes at the float32 row norms of the frozen weights.

    PEFT takes them from norms rounded to the weights' own 16 bits, which moves the start away from the base.
    """
    for _, layer in adapted_layers(adapted):
        norms = torch.linalg.norm(frozen_weight(layer).detach().float(), dim=1)
        with torch.no_grad():
            layer.lora_magnitude_vector[ADAPTER_NAME].weight = nn.Parameter(norms)


def frozen_weight(layer: LoraLayer) -> Tensor:
    """The base weight as (out_features, in_features), unpacked where it is quantized."""
    weight: Tensor = dequantize_module_weight(layer.get_base_layer())
    return weight.T if layer.fan_in_fan_out else weight


def adapted_layers(model: torch.nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """Every layer that carries the trained adapter, with its full name."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and ADAPTER_NAME in module.lora_A:
            yield name, module


def peft_task_type(model: PreTrainedModel, task: Task | None) -> TaskType:
    """PEFT's word for what the model does."""
    if task in ("classification", "regression") or type(model).__name__.endswith("ForSequenceClassification"):
        return TaskType.SEQ_CLS
    return TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM


def check_targets(model: PreTrainedModel, config: AdapterConfig, saved: Sequence[str] | None = None) -> list[str]:
    """The layers that would be adapted; reads names and shapes only, so the model may be on the meta device.

    Args:
        model: the pretrained model.
        config: method, rank, targets.
        saved: modules that train in full and so get no adapter; left out: those of the configuration.

    Raises:
        ModelError: unknown method, names that match nothing, a rank above a layer's smaller side.
    """
    method = find_method(config.method)
    if not method.low_rank:
        if method.kind == "additions":
            check_additions(model, config)
        return []
    unknown = check_saved_modules(model, config.modules_to_save or [])
    if unknown:
        raise ModelError(unknown)
    saved = config.modules_to_save or [] if saved is None else saved
    chosen = outside(saved, resolve_targets(model, config.target_modules))
    if not chosen:
        what = "every layer named lies in modules that are trained in full"
        raise ModelError.at("adapter.target_modules", what, "name others, or shorten modules_to_save")
    sides = {name: min(layer_shape(model.get_submodule(name))) for name in chosen}
    rank = config.initial_rank if config.method == "adalora" else config.r
    narrow = [name for name in chosen if sides[name] < rank]
    if narrow:
        smallest = min(narrow, key=sides.__getitem__)
        what = f"rank {rank} exceeds the smaller side of {len(narrow)} of {len(chosen)} layers, first {smallest}"
        fix = f"set r to at most {sides[smallest]} or leave these layers out"
        raise ModelError.at("adapter.r", what, fix)
    if method.start in CHECKS:
        CHECKS[method.start](Setting(model, tuple(chosen), config, None))
    return chosen


def layer_shape(layer: nn.Module) -> tuple[int, int]:
    """(out_features, in_features) of a linear layer; the weight itself may be packed to 4 bits."""
    if isinstance(layer, Conv1D):
        return int(layer.nf), int(layer.nx)
    assert isinstance(layer, nn.Linear)
    return layer.out_features, layer.in_features
