"""Put additions on a pretrained model."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from peft.utils.other import _set_trainable
from transformers import PreTrainedModel

from balora.adapters.additions.addition import add_to
from balora.adapters.additions.bitfit import attach_shifts, biased_layers
from balora.adapters.additions.blocks import sublayers, width_of
from balora.adapters.additions.bottleneck import Bottleneck, activation_of
from balora.adapters.additions.merge import merge_shifts, refuse_merging
from balora.adapters.additions.save import save_bottlenecks, save_shifts
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.precision import train_in_float32
from balora.adapters.settings import AdapterConfig
from balora.adapters.targets import check_saved_modules
from balora.errors import ModelError


def check_additions(model: PreTrainedModel, config: AdapterConfig) -> None:
    """Find out whether the method can go on this model; reads names only, so it may be on the meta device.

    Raises:
        ModelError: the model has no bias, its architecture is unknown, or a module to save does not exist.
    """
    unknown = check_saved_modules(model, config.modules_to_save or [])
    if unknown:
        raise ModelError(unknown)
    if config.method == "bitfit":
        biased_layers(model)
    else:
        sublayers(model, attention=config.method == "houlsby")


def attach_additions(model: PreTrainedModel, config: AdapterConfig, saved: Sequence[str]) -> PreTrainedModel:
    """Put bitfit's shifts or a bottleneck per sub-layer on the model, and let the task head train in full.

    The model stays the object that it was; `save_pretrained` writes what was trained instead of the whole model.

    Raises:
        ModelError: the model is quantized, has no bias or an unknown architecture, or a module to save does not exist.
    """
    check_additions(model, config)
    if vars(model).get("is_quantized"):
        # transformers' Trainer takes quantized models with adapters in PEFT alone.
        what = f"{config.method} cannot train on a quantized base"
        raise ModelError.at("adapter.method", what, "load the model without quantization, or use lora or pissa")
    model.requires_grad_(False)
    saved = list(dict.fromkeys(saved))
    if config.method == "bitfit":
        attach_shifts(model, saved)
    else:
        attach_bottlenecks(model, config)
    if saved:
        _set_trainable(model, ADAPTER_NAME, module_names=saved, inference_mode=False)
        train_in_float32(model)
    own = vars(model)
    if config.method == "bitfit":
        own["save_pretrained"] = functools.partial(save_shifts, model, config)
        own["merge_and_unload"] = functools.partial(merge_shifts, model)
    else:
        own["save_pretrained"] = functools.partial(save_bottlenecks, model, config)
        own["merge_and_unload"] = own["merge_adapter"] = refuse_merging
    return model


def attach_bottlenecks(model: PreTrainedModel, config: AdapterConfig) -> None:
    """A bottleneck after every feed-forward part, and for houlsby after every attention.

    Source: houlsby, arXiv 1902.00751, figure 2: on the output of both sub-layers before it is added back. pfeiffer,
    arXiv 2005.00247: after the feed-forward part alone. Differs from the authors' pfeiffer, which runs the block's
    layer norm before the bottleneck once more; here every architecture gets it on the plain output.
    """
    width, activation = width_of(model), activation_of(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for name in sublayers(model, attention=config.method == "houlsby"):
            layer = model.get_submodule(name)
            device = next(layer.parameters()).device
            add_to(layer, Bottleneck(width, config.bottleneck, activation, device))
