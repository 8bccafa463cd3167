"""LoRA-GA: the factors start at singular vectors of the first gradient."""

from __future__ import annotations

import warnings

import torch
from peft import LoraConfig
from peft.tuners.lora.config import LoraGAConfig
from peft.tuners.lora.loraga import preprocess_loraga
from torch import Tensor

from balora.adapters.calibration import Calibration, needed
from balora.adapters.factors import Factors, layer_seed
from balora.adapters.starts.plan import Setting, Start, factors_by_peft, refuse_quantized, unchanged_layers
from balora.errors import ModelError


def lora_ga_start(setting: Setting) -> Start:
    """Factors from the gradient of the task loss with respect to each weight, computed by PEFT.

    With the gradient's U, S, Vᵀ the start takes r of the first 2r triplets for A₀ and r for B₀ (`lora_ga_direction`),
    scaled by √√out/√γ (`lora_ga_scale: stable`). The loss is the model's own over the sample in training mode, under
    the adapter's seed.

    Raises:
        ModelError: no sample or no labels in it, quantized weights, a layer that is too narrow for twice the rank, or
            one whose gradient is zero, missing or not finite. PEFT starts such layers as plain LoRA without a word.

    Source: arXiv 2407.05000; PEFT's preprocess_loraga and lora_ga_init. Differs from PEFT for GPT-2's transposed
    layers, where PEFT takes the input side for `out`.
    """
    refuse_quantized(setting, "lora_ga")
    check_width(setting)
    calibration = needed(setting.calibration, "lora_ga")
    config = peft_config(setting)
    with torch.random.fork_rng(devices=[]), unchanged_layers(setting.model, setting.layers) as layers:
        torch.manual_seed(setting.config.seed)
        with warnings.catch_warnings():
            # The first layer's inputs need no gradient, and its hook says so.
            warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
            preprocess_loraga(setting.model, config, lambda: backward_over(setting, calibration))
        gradients = {name: vars(layer).get("_peft_loraga_grad") for name, layer in layers.items()}
    check_gradients(gradients)

    def factors(name: str, weight: Tensor, scaling: float) -> Factors:
        gradient = gradients.pop(name)
        assert gradient is not None
        if tuple(gradient.shape) != tuple(weight.shape):
            gradient = gradient.T
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(layer_seed(setting.config.seed, name))
            return factors_by_peft(weight, setting.config.r, scaling, config, _peft_loraga_grad=gradient)

    return Start(factors)


def peft_config(setting: Setting) -> LoraConfig:
    """PEFT's configuration of the preprocessing and of the start."""
    chosen = setting.config
    return LoraConfig(
        r=chosen.r,
        target_modules=list(setting.layers),
        init_lora_weights="lora_ga",
        lora_ga_config=LoraGAConfig(
            direction=chosen.lora_ga_direction, scale=chosen.lora_ga_scale, stable_gamma=chosen.lora_ga_gamma
        ),
    )


def check_width(setting: Setting) -> None:
    """Refuse layers that cannot give 2r singular vectors, by their shapes; PEFT would cut the factors short.

    Raises:
        ModelError: names the first such layer.
    """
    for name in setting.layers:
        side = min(setting.model.get_submodule(name).weight.shape)
        if 2 * setting.config.r > side:
            what = f"lora_ga takes 2r = {2 * setting.config.r} directions, and the smaller side of {name} is {side}"
            raise ModelError.at("adapter.r", what, f"set r to at most {side // 2}, or leave such layers out")


def backward_over(setting: Setting, calibration: Calibration) -> None:
    """Run loss and backward over the sample; gradients add up on the weights."""
    for batch in calibration.batches(setting.model, setting.config.calibration.batch_size):
        if "labels" not in batch:
            what = "lora_ga starts from the gradient of the loss, and the sample has no labels"
            raise ModelError.at("adapter.calibration", what, "give rows with labels")
        setting.model(**batch).loss.backward()


def check_gradients(gradients: dict[str, Tensor | None]) -> None:
    """Refuse gradients that say nothing.

    Raises:
        ModelError: names the first layer.
    """
    for name, gradient in gradients.items():
        if gradient is None or not bool(gradient.any()) or not bool(torch.isfinite(gradient).all()):
            found = "no gradient" if gradient is None else "a gradient that is zero or not finite"
            what = f"the sample gives {name} {found}, and lora_ga does not fall back to another start"
            raise ModelError.at("adapter.calibration", what, "draw more or other rows, or leave such layers out")
