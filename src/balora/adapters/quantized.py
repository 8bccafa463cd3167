"""Layers whose weights are quantized: recognise them, unpack them, and keep what they compute the same throughout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from balora.errors import ModelError
from balora.optional import import_quietly

Quantization = Literal["bitsandbytes 4 bits", "bitsandbytes 8 bits", "torchao", "other"]

_BITS_AND_BYTES: dict[str, Quantization] = {"Params4bit": "bitsandbytes 4 bits", "Int8Params": "bitsandbytes 8 bits"}
_UNTRAINABLE = "Int4"


def quantization_of(layer: nn.Module) -> Quantization | None:
    """How a layer's weight is quantized; None for plain numbers.

    Read off the weight's class: with a float storage format the packed nibbles of 4 bits look like a float weight.
    """
    weight = layer._parameters.get("weight")
    if weight is None:
        return None
    kind = _BITS_AND_BYTES.get(type(weight).__name__)
    if kind is None and type(weight).__module__.startswith("torchao."):
        return "torchao"
    if kind is None and not weight.is_floating_point():
        return "other"
    return kind


def quantized_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every layer with a quantized weight, by name."""
    for name, module in model.named_modules():
        if quantization_of(module) is not None:
            yield name, module


def unpacked_weight(layer: nn.Module) -> Tensor:
    """A layer's weight as plain numbers, in the layer's own layout."""
    weight: Any = layer.weight
    kind = quantization_of(layer)
    if kind == "bitsandbytes 4 bits":
        unpacked: Tensor = _bitsandbytes().functional.dequantize_4bit(weight.data, weight.quant_state)
    elif kind == "bitsandbytes 8 bits":
        # PEFT's way puts a new weight into a layer on the CPU, without the scales once the layer has run.
        state: Any = layer.state
        scales = weight.SCB if state.SCB is None else state.SCB
        unpacked = _bitsandbytes().functional.int8_vectorwise_dequant(weight.data, scales.to(weight.device))
    else:
        unpacked = dequantize_module_weight(layer)
    return unpacked


def stored_transposed(layer: nn.Module) -> bool:
    """Whether the checkpoint holds this layer's weight as (in, out): GPT-2's Conv1D, also where it was quantized."""
    return isinstance(layer, Conv1D) or vars(layer).get("source_cls") is Conv1D


def set_quantized(layer: nn.Module, weight: Tensor) -> None:
    """Quantize another weight into a bitsandbytes layer, with the layer's own settings.

    Args:
        layer: of 4 or 8 bits.
        weight: (out_features, in_features), on the layer's device.

    Raises:
        ModelError: for a layer that another package quantized.
    """
    old: Any = layer.weight
    kind, device = quantization_of(layer), old.device
    if kind == "bitsandbytes 4 bits":
        new = (
            _bitsandbytes()
            .nn.Params4bit(
                weight,
                requires_grad=False,
                blocksize=old.blocksize,
                compress_statistics=old.compress_statistics,
                quant_type=old.quant_type,
                quant_storage=old.quant_storage,
                module=layer,
            )
            .to(device)
        )
        # The scales come from the weight as it was given; what a product unpacks to stays as it was.
        new.quant_state.dtype = old.quant_state.dtype
    elif kind == "bitsandbytes 8 bits":
        state: Any = layer.state
        state.CB = state.SCB = None
        # Quantized where it is moved to; on the CPU first, as bitsandbytes quantizes only what comes from there.
        new = _bitsandbytes().nn.Int8Params(weight.cpu(), requires_grad=False).to(device)
    else:
        what = f"only weights that bitsandbytes quantized can be quantized again, and these are {kind or 'plain'}"
        raise ModelError.at(
            "adapter.quantized_start", what, "write model.quantization: nf4 or int8, or start at anchor"
        )
    layer.weight = new


def round_trip(layer: nn.Module, weight: Tensor) -> Tensor:
    """What a weight becomes when it is quantized as this bitsandbytes layer is and unpacked again; the layer stays.

    Args:
        layer: of 4 or 8 bits.
        weight: (out_features, in_features).
    """
    functional, old = _bitsandbytes().functional, layer._parameters["weight"]
    settings = vars(old)
    if quantization_of(layer) == "bitsandbytes 4 bits":
        packed, state = functional.quantize_4bit(
            weight,
            blocksize=settings["blocksize"],
            compress_statistics=settings["compress_statistics"],
            quant_type=settings["quant_type"],
        )
        unpacked: Tensor = functional.dequantize_4bit(packed, state)
    else:
        packed, scales, _ = functional.int8_vectorwise_quant(weight.to(torch.float16))
        unpacked = functional.int8_vectorwise_dequant(packed, scales)
    return unpacked


def steady_quantized_layers(model: nn.Module) -> None:
    """Let quantized layers compute one function, in training and evaluation alike; student and teacher rely on it.

    On processors with bfloat16 instructions bitsandbytes repacks a 4-bit weight at the first forward in evaluation
    mode: its scales are rounded, and from then on no gradient passes through the layer. And on any CPU its 8-bit layers
    round activations to 8 bits in evaluation mode only. Both are switched off here; nothing changes on a GPU.

    Raises:
        ModelError: when a weight has been repacked already, is unpacked wrongly, or cannot be trained with PEFT.
    """
    for name, layer in quantized_layers(model):
        weight: Any = layer.weight
        kind = quantization_of(layer)
        if kind == "bitsandbytes 4 bits":
            state = weight.quant_state
            if vars(state).get("packing_format_for_cpu"):
                what = f"bitsandbytes repacked the weight of {name} when the model ran in evaluation mode on the CPU"
                raise ModelError.at("model", what, "load it again and adapt it before its first forward")
            if weight.device.type == "cpu" and state.shape[-1] % state.blocksize:
                what = (
                    f"bitsandbytes unpacks {name} wrongly on a CPU: its rows are not whole blocks of {state.blocksize}"
                )
                raise ModelError.at("model", what, "name it in llm_int8_skip_modules when loading, as recipes do")
            vars(layer)["support_avx512bf16_for_cpu"] = False
        elif kind == "bitsandbytes 8 bits" and compute_as_in_training not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(compute_as_in_training)
        elif kind == "torchao" and type(weight).__name__.startswith(_UNTRAINABLE):
            what = f"the weights are torchao's {type(weight).__name__}, and PEFT trains on torchao's 8 bits only"
            raise ModelError.at("model", what, "use model.quantization: nf4 for 4 bits, or torchao_int8")


def compute_as_in_training(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Forward pre-hook of 8-bit layers on the CPU: weights are unpacked, activations keep their format."""
    if inputs and isinstance(inputs[0], Tensor) and inputs[0].device.type == "cpu":
        vars(layer)["training"] = True
        weight: Any = layer.weight
        if weight.SCB is None:
            # PEFT's DoRA leaves a weight without scales behind, which would replace those that the layer has.
            weight.CB = None


def _bitsandbytes() -> Any:
    return import_quietly("bitsandbytes")
