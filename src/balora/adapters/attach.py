"""Put an adapter on a pretrained model, by the registry's row for its method."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from peft import TaskType
from peft.tuners.lora.layer import LoraLayer
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.adalora import adalora_config
from balora.adapters.additions import attach_additions, check_additions, has_additions
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.begin import (
    adapted_layers,
    measure_magnitudes,
    narrow_inputs,
    start_at_planned_factors,
    start_at_principal_factors,
)
from balora.adapters.calibration import Calibration
from balora.adapters.identity import remember_config
from balora.adapters.limits import refuse_impossible
from balora.adapters.model import ADAPTED_MODELS, AdaptedModel
from balora.adapters.peft_config import describe_base, lora_config, set_ranks
from balora.adapters.precision import train_in_float32
from balora.adapters.quantized import quantized_layers, steady_quantized_layers
from balora.adapters.quantized_start import check_quantized_start
from balora.adapters.registry import find_method
from balora.adapters.settings import AdapterConfig
from balora.adapters.starts import CHECKS, STARTS
from balora.adapters.starts.plan import Setting
from balora.adapters.targets import (
    check_saved_modules,
    fresh_modules,
    head_modules,
    linear_layers,
    outside,
    peft_targets,
    resolve_targets,
    untrained_pooler,
)
from balora.errors import ModelError
from balora.task import Task


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
    check_quantized_start(config)
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
    targets = peft_targets(model, chosen)
    if method.name == "adalora":
        peft_config = adalora_config(config, targets.modules, saved, task_type)
    else:
        peft_config = lora_config(config, method, targets, saved, task_type)
    if start is not None:
        set_ranks(peft_config, start)
    steady_quantized_layers(model)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT asks transformers for a property under its old name.
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
        torch.manual_seed(config.seed)
        adapted = ADAPTED_MODELS[task_type](model, describe_base(peft_config, model, chosen), ADAPTER_NAME)
        train_in_float32(model)
    if method.principal_start:
        start_at_principal_factors(adapted, config)
    elif start is not None:
        start_at_planned_factors(adapted, start, anchored=method.anchored, fold=config.fold_anchor)
    if method.use_dora:
        measure_magnitudes(adapted)
    if method.optimizer == "lora_fa":
        freeze_down_factors(adapted)
    narrow_inputs(adapted)
    return adapted


def freeze_down_factors(adapted: AdaptedModel) -> None:
    """LoRA-FA trains B alone; A stays where it started."""
    for _, layer in adapted_layers(adapted):
        layer.lora_A[ADAPTER_NAME].requires_grad_(False)
        # What PEFT freezes and unfreezes when adapters are switched off and on.
        vars(layer)["adapter_layer_names"] = tuple(name for name in layer.adapter_layer_names if name != "lora_A")


def train_everything(model: PreTrainedModel) -> PreTrainedModel:
    """Full fine-tuning.

    Raises:
        ModelError: for float16 weights, whose updates and gradients leave the format's range, and quantized ones.
    """
    if any(parameter.dtype == torch.float16 for parameter in model.parameters()):
        fix = "load it in bfloat16 or float32 (model.dtype)"
        raise ModelError.at("adapter.method", "full fine-tuning cannot train float16 weights", fix)
    if any(True for _ in quantized_layers(model)):
        fix = "leave model.quantization out, or train an adapter"
        raise ModelError.at("adapter.method", "full fine-tuning cannot train quantized weights", fix)
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
        ModelError: unknown method, names that match nothing, a rank above a layer's smaller side, a layer that the
            method cannot adapt.
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
    refuse_impossible(config.method, model, chosen, dropout=config.dropout)
    layers = linear_layers(model)
    sides = {name: min(layer_shape(layers[name])) for name in chosen}
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


def layer_shape(layer: nn.Module | nn.Parameter) -> tuple[int, int]:
    """The sides of a linear map, of one expert where they are stacked; the weight itself may be packed to 4 bits."""
    if isinstance(layer, nn.Parameter):
        return layer.shape[-2], layer.shape[-1]
    if isinstance(layer, Conv1D):
        return int(layer.nf), int(layer.nx)
    assert isinstance(layer, nn.Linear)
    return layer.out_features, layer.in_features
