"""Put an adapter on a pretrained model, by the registry's row for its method."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from peft import LoraConfig, TaskType
from peft.tuners.lora.layer import LoraLayer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.anchor import ADAPTER_NAME, anchor_layer
from balora.adapters.factors import layer_seed, principal_factors
from balora.adapters.model import ADAPTED_MODELS, AdaptedModel
from balora.adapters.registry import Method, find_method
from balora.adapters.settings import AdapterConfig
from balora.adapters.targets import head_modules, resolve_targets, short_targets
from balora.errors import ModelError, Problem
from balora.task import Task


def attach_adapter(
    model: PreTrainedModel, config: AdapterConfig, task: Task | None = None
) -> PreTrainedModel | AdaptedModel:
    """Adapt a pretrained model; its own weights stay bitwise as they are.

    Args:
        model: a transformers model, not adapted yet; for classification and regression with its head.
        config: method, rank, targets.
        task: what the model is for; read off the model when left out.

    Returns:
        For low-rank methods a `peft.PeftModel`: only the adapter and the task head train. For `full` the model itself
        with every weight trainable.

    Raises:
        ModelError: unknown method, targets that match nothing, a rank above a layer's smaller side, a model that has
            an adapter already.
    """
    method = find_method(config.method)
    if any(isinstance(module, LoraLayer) for module in model.modules()):
        fix = "start from the pretrained model, without get_peft_model"
        raise ModelError.at("adapter", "the model has a LoRA adapter already", fix)
    if not method.low_rank:
        return model.requires_grad_(True)
    chosen = check_targets(model, config)
    task_type = peft_task_type(model, task)
    heads = config.modules_to_save
    if heads is None:
        heads = head_modules(model) if task_type == TaskType.SEQ_CLS else None
    peft_config = lora_config(config, method, short_targets(model, chosen), heads, task_type)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT asks transformers for a property under its old name.
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
        torch.manual_seed(config.seed)
        adapted = ADAPTED_MODELS[task_type](model, _describe_base(peft_config, model, chosen), ADAPTER_NAME)
    if method.principal_start:
        start_at_principal_factors(adapted, config)
    return adapted


def lora_config(
    config: AdapterConfig, method: Method, targets: list[str], heads: list[str] | None, task_type: TaskType
) -> LoraConfig:
    """PEFT's configuration of the trained adapter; the start is plain LoRA's, an anchored method replaces it after."""
    alpha = config.scaling_alpha
    return LoraConfig(
        r=config.r,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        modules_to_save=heads,
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
        weight = layer.get_base_layer().weight
        factors = principal_factors(
            weight.T if layer.fan_in_fan_out else weight,
            config.r,
            scaling=layer.scaling[ADAPTER_NAME],
            svd=config.svd,
            iterations=config.svd_iterations,
            seed=layer_seed(config.seed, name),
        )
        anchor_layer(layer, factors)


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


def check_targets(model: PreTrainedModel, config: AdapterConfig) -> list[str]:
    """The layers that would be adapted; reads names and shapes only, so the model may be on the meta device.

    Raises:
        ModelError: unknown method, targets that match nothing, a rank above a layer's smaller side.
    """
    if not find_method(config.method).low_rank:
        return []
    chosen, rank = resolve_targets(model, config.target_modules), config.r
    problems = []
    for name in chosen:
        shape = tuple(model.get_submodule(name).weight.shape)
        if rank > min(shape):
            what = f"rank {rank} exceeds the smaller side of {name} with weight {shape}"
            problems.append(Problem("adapter.r", what, f"set r to at most {min(shape)} or leave the layer out"))
    if problems:
        raise ModelError(problems[:5])
    return chosen
