"""OLoRA: the factors start at the first columns and rows of a QR decomposition."""

from __future__ import annotations

from peft import LoraConfig
from torch import Tensor

from balora.adapters.factors import Factors
from balora.adapters.starts.plan import Setting, Start, factors_by_peft


def olora_start(setting: Setting) -> Start:
    """W = QR, B₀ = Q_r (orthonormal columns), A₀ = R_r, computed by PEFT on a copy of each layer.

    Source: arXiv 2406.01775. Differs from PEFT in that it goes on GPT-2's transposed layers too.
    """
    config = LoraConfig(init_lora_weights="olora")

    def factors(name: str, weight: Tensor, scaling: float) -> Factors:
        del name
        return factors_by_peft(weight, setting.config.r, scaling, config)

    return Start(factors)
