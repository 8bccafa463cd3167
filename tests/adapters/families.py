"""Every family with every method: inputs and the adapted model, for the tests of this room."""

from __future__ import annotations

from typing import Any

import torch

from balora.adapters import AdapterConfig, Calibration, attach_adapter
from tests.support import rows, tiny

METHODS = ["lora", "rslora", "dora", "pissa"]

LATER_METHODS: dict[str, dict[str, Any]] = {
    "adalora": {},
    "milora": {},
    "olora": {},
    "corda": {},
    "corda-kpm": {"corda_mode": "kpm", "calibration": {"text": "given below"}},
    "corda++": {},
    "lora_ga": {},
    "eva": {"eva_tau": 0.5},
    "loraplus": {},
    "lora_fa": {},
    "bitfit": {},
    "houlsby": {"bottleneck": 8},
    "pfeiffer": {"bottleneck": 8},
}
"""Methods beside `METHODS`, with settings that fit tiny models."""

IMPOSSIBLE = {("bitfit", "llama"): "has none", ("bitfit", "t5"): "has none", ("eva", "t5"): "encoder and a decoder"}
"""(method, family) -> what the error says."""


def calibration_for(family: str, count: int = 12) -> Calibration:
    """A sample for the representative model of a family."""
    if family == "t5":
        return Calibration(rows.translated_rows(count).to_list(), rows.collator("generation", encoder_decoder=True))
    if family in ("llama", "gpt2"):
        return Calibration(rows.language_rows(count).to_list(), rows.collator("generation"))
    return Calibration(rows.classified_rows(count, classes=2).to_list(), rows.collator("classification"))


def adapt(family: str, method: str, base: Any = None, **changes: Any) -> Any:
    """The representative model of a family with any method, rank 4."""
    base = tiny.FAMILIES[family]() if base is None else base
    settings = {"r": 4, "alpha": 6, **LATER_METHODS.get(method, {}), **changes}
    config = AdapterConfig(method=method.removesuffix("-kpm"), **settings)
    return attach_adapter(base, config, calibration=calibration_for(family))


def inputs_for(family: str, rows: int = 2) -> dict[str, Any]:
    ids = tiny.random_ids(rows, 8)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "t5":
        inputs["decoder_input_ids"] = ids[:, :5]
    return inputs


def logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        result: torch.Tensor = model(**inputs).logits
    return result


def disturb(model: torch.nn.Module, seed: int = 0, size: float = 0.05) -> None:
    """Move every trainable number, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
