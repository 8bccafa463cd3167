"""CorDA: the factors start where the weight meets the covariance of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.config import CordaConfig
from peft.tuners.lora.corda import CordaEigens, calib_cov_distribution, collect_eigens_for_layer, preprocess_corda
from torch import Tensor, nn

from balora.adapters.calibration import Calibration, needed
from balora.adapters.factors import Factors
from balora.adapters.starts.plan import Setting, Start, factors_by_peft, refuse_quantized, unchanged_layers
from balora.errors import ModelError


def corda_start(setting: Setting) -> Start:
    """Context-oriented factors, computed by PEFT.

        W C = U S Vᵀ,   A₀ = √(S_m/s)·(VᵀC⁻¹)_m,   B₀ = U_m·√(S_m/s)

    C is the second moment of the layer's inputs over the sample, each row scaled by its largest entry, with a damped
    diagonal; m are the r largest values (`ipm`, instruction-previewed) or the r smallest (`kpm`, knowledge-preserved).
    Rows run one at a time and unpadded, so that no padding enters C.

    Raises:
        ModelError: no sample, quantized weights, or a layer that the sample does not reach.

    Source: arXiv 2406.05223; PEFT's preprocess_corda and corda_init.
    """
    refuse_quantized(setting, "corda")
    calibration = needed(setting.calibration, "corda")
    config = peft_config(setting)
    with unchanged_layers(setting.model, setting.layers) as layers, blamed_on_sample():
        preprocess_corda(setting.model, config, run_model=check_reached(setting, calibration, calibration.rows))
        eigens = {name: vars(layer)["eigens"] for name, layer in layers.items()}

    def factors(name: str, weight: Tensor, scaling: float) -> Factors:
        return factors_by_peft(weight, setting.config.r, scaling, config, eigens=eigens.pop(name))

    return Start(factors)


def peft_config(setting: Setting) -> LoraConfig:
    """PEFT's configuration of the preprocessing and of the start."""
    return LoraConfig(
        r=setting.config.r,
        target_modules=list(setting.layers),
        init_lora_weights="corda",
        corda_config=CordaConfig(corda_method=setting.config.corda_mode),
    )


def check_reached(setting: Setting, calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> Callable[[], None]:
    """What PEFT calls to run the sample; afterwards every layer must have been reached."""

    def run() -> None:
        for row in rows:
            setting.model(**calibration.batch_of([row], setting.model))
        silent = [name for name in setting.layers if not vars(setting.model.get_submodule(name)).get("sample_count")]
        if silent:
            what = f"no token of the sample reaches {len(silent)} of {len(setting.layers)} layers, first {silent[0]}"
            raise ModelError.at("adapter.calibration", what, "leave these layers out of target_modules")

    return run


@contextmanager
def blamed_on_sample() -> Iterator[None]:
    """What PEFT or torch raises inside comes from the sample: no finite covariance, or none that can be inverted."""
    try:
        yield
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        said = " ".join(str(error).split())[:200]
        fix = "draw more or other rows (adapter.calibration)"
        raise ModelError.at("adapter.calibration", f"no start can be computed from it ({said})", fix) from error


def covariances(setting: Setting, calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The second moment of every layer's inputs over these rows, as PEFT computes it."""
    config = peft_config(setting)
    with unchanged_layers(setting.model, setting.layers) as layers, blamed_on_sample():
        calib_cov_distribution(setting.model, config, check_reached(setting, calibration, rows), None, None)
        return {name: vars(layer)["covariance_matrix"] for name, layer in layers.items()}


def eigens_of(layer: nn.Module, covariance: Tensor, config: LoraConfig) -> CordaEigens:
    """U, S and V of the weight seen through a covariance, all of them, as PEFT computes it."""
    vars(layer)["covariance_matrix"] = covariance
    try:
        with torch.no_grad(), blamed_on_sample():
            return collect_eigens_for_layer(layer, config)
    finally:
        del vars(layer)["covariance_matrix"]
