"""Loading weights in 8 or 4 bits: which package does it, and which layers stay as they are."""

from __future__ import annotations

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel, TorchAoConfig
from transformers.pytorch_utils import Conv1D

from balora.errors import ModelError, Problem
from balora.models.settings import ModelSettings
from balora.optional import import_quietly, is_installed

PACKAGES = {"nf4": "bitsandbytes", "int8": "bitsandbytes", "torchao_int8": "torchao"}
"""The value of `model.quantization` -> the package that does it."""

NF4_BLOCK = 64
"""Weights that share one scale."""


def quantization_problem(settings: ModelSettings) -> Problem | None:
    """What keeps the wanted quantization from working here; None where nothing does."""
    given = ["quantization_compute_dtype"] if settings.quantization_compute_dtype != "auto" else []
    given += ["double_quantization"] if settings.double_quantization else []
    if settings.quantization is None:
        if not given:
            return None
        what = f"{' and '.join(given)} say how to quantize, but model.quantization is not set"
        return Problem("model.quantization", what, "write model.quantization: nf4, or remove them")
    if settings.quantization != "nf4" and given:
        what = f"{' and '.join(given)} apply to nf4 only, and it is {settings.quantization}"
        return Problem("model.quantization", what, "remove them, or write nf4")
    package = PACKAGES[settings.quantization]
    if is_installed(package):
        return None
    what = f"{settings.quantization} needs the package {package}, which is not installed"
    return Problem("model.quantization", what, "pip install 'balora[quant]'")


def quantization_config(
    settings: ModelSettings, config: PretrainedConfig, keep: list[str]
) -> BitsAndBytesConfig | TorchAoConfig | None:
    """Transformers' configuration of the wanted quantization; None without one.

    Args:
        settings: `quantization` and what belongs to it.
        config: the model's; its number format is what nf4 computes in where nothing else is said.
        keep: names of the linear layers that are not quantized.

    Returns:
        nf4: blocks of 64 weights, stored as uint8. int8: bitsandbytes' vector-wise 8 bits, activations beyond 6 in 16
        bits. torchao_int8: weights only, one scale per row.
    """
    if settings.quantization is None:
        return None
    import_quietly(PACKAGES[settings.quantization])
    if settings.quantization == "torchao_int8":
        from torchao.quantization import Int8WeightOnlyConfig

        return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=keep)
    if settings.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=keep)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=compute_dtype(settings, config),
        bnb_4bit_use_double_quant=settings.double_quantization,
        # Other storage types exist for sharding; then a weight's number format no longer says that it is packed.
        bnb_4bit_quant_storage=torch.uint8,
        llm_int8_skip_modules=keep,
    )


def compute_dtype(settings: ModelSettings, config: PretrainedConfig) -> torch.dtype:
    """What nf4 weights are unpacked to for a product: as set, else the format of the other weights."""
    named = (settings.quantization_compute_dtype, settings.dtype)
    chosen = next((getattr(torch, name) for name in named if name != "auto"), None)
    stored = chosen or config.dtype or torch.float32
    result: torch.dtype = stored if isinstance(stored, torch.dtype) else getattr(torch, stored)
    return result


def unquantized_layers(model: PreTrainedModel, quantization: str) -> list[str]:
    """The linear layers that keep their numbers.

    Those outside the repeated blocks: heads, poolers, projections of embeddings. transformers alone would quantize the
    head and the pooler of BERT, RoBERTa and DeBERTa, which start at random and are trained in full. And for nf4 those
    whose rows are not whole blocks of 64 weights: bitsandbytes 0.50 unpacks them wrongly on a CPU, without a word.

    Args:
        model: empty or not, before quantization.
        quantization: the value of `model.quantization`.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}
    return [
        name
        for name, layer in layers.items()
        if not any(part.isdigit() for part in name.split("."))
        or (quantization == "nf4" and inputs_of(layer) % NF4_BLOCK)
    ]


def quantization_notes(model: PreTrainedModel, settings: ModelSettings) -> list[str]:
    """What is worth knowing about a model that was loaded quantized.

    Raises:
        ModelError: no layer could be quantized.
    """
    if settings.quantization is None:
        return []
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)}
    in_blocks = [name for name in layers if any(part.isdigit() for part in name.split("."))]
    kept = [name for name in in_blocks if not is_quantized(layers[name])]
    if len(kept) == len(in_blocks):
        what = f"{settings.quantization} fits none of the {len(in_blocks)} linear layers of {type(model).__name__}"
        fix = "use int8, which has no block size" if settings.quantization == "nf4" else "use nf4 or int8"
        raise ModelError.at("model.quantization", what, fix)
    if not kept:
        return []
    reason = f" (nf4 wants rows of whole blocks of {NF4_BLOCK})" if settings.quantization == "nf4" else ""
    shown = ", ".join(kept[:3]) + (", ..." if len(kept) > 3 else "")
    return [f"{len(kept)} of {len(in_blocks)} linear layers are not quantized{reason}: {shown}"]


def is_quantized(layer: nn.Module) -> bool:
    """Whether a layer's weight is one of the packages' own."""
    return type(layer.weight).__module__.partition(".")[0] in {"bitsandbytes", "torchao"}


def inputs_of(layer: nn.Linear | Conv1D) -> int:
    """in_features, also of GPT-2's transposed layers."""
    return int(layer.nx) if isinstance(layer, Conv1D) else layer.in_features
