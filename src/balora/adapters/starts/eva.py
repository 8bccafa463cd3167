"""EVA: A starts at the principal directions of a layer's inputs, and ranks go where they explain most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.config import EvaConfig
from peft.tuners.lora.eva import get_eva_state_dict
from torch import Tensor, nn

from balora.adapters.calibration import Calibration, needed
from balora.adapters.factors import Factors
from balora.adapters.starts.plan import Setting, Start, unchanged_layers
from balora.errors import ModelError
from balora.task import IGNORED_LABEL

PASSES_OVER_SAMPLE = 50
"""After so many passes over the sample without settling PEFT's loop, which has no end of its own, is stopped."""


def eva_start(setting: Setting) -> Start:
    """A₀ the leading right singular vectors of the layer's inputs over the sample, B₀ = 0, computed by PEFT.

    Ranks are handed out over all layers by explained variance: r on the mean, at most `eva_rho`·r, and a layer may
    get none. The scaling of each stays alpha/r. For generation only tokens that carry a label count.

    Raises:
        ModelError: no sample, an encoder-decoder model, batches of too few tokens, or a layer that PEFT leaves out,
            which it would start as plain LoRA with a warning.

    Source: arXiv 2410.07170; PEFT's get_eva_state_dict.
    """
    check_inputs(setting)
    calibration = needed(setting.calibration, "eva")
    config = LoraConfig(
        r=setting.config.r,
        target_modules=list(setting.layers),
        init_lora_weights="eva",
        eva_config=EvaConfig(rho=setting.config.eva_rho, tau=setting.config.eva_tau),
    )
    batches = usable_batches(setting, calibration)
    watch = _Watch(len(batches))
    with torch.random.fork_rng(devices=[]), torch.no_grad(), unchanged_layers(setting.model, setting.layers):
        torch.manual_seed(setting.config.seed)
        found = get_eva_state_dict(
            setting.model,
            batches,
            peft_config=config,
            forward_fn=watch.forward,
            prepare_layer_inputs_fn=counted_inputs,
            show_progress_bar=False,
        )
    left_out = [name for name in setting.layers if name not in found]
    if left_out:
        what = f"eva found no start for {len(left_out)} of {len(setting.layers)} layers, first {left_out[0]}"
        raise ModelError.at("adapter.target_modules", what, "leave these layers out")

    def factors(name: str, weight: Tensor, scaling: float) -> Factors:
        del scaling
        down = found.pop(name)
        return Factors(down=down.float(), up=weight.new_zeros(weight.shape[0], len(down), dtype=torch.float32))

    ranks = {name: len(found[name]) for name in setting.layers if len(found[name]) != setting.config.r}
    return Start(factors, ranks)


def counted_inputs(layer_input: Any, places: Tensor, layer_name: str) -> Tensor:
    """What a layer sees at the counted tokens, (tokens, width).

    DeBERTa-v3's projections see the embeddings of relative positions too, which belong to no token: all of them count.

    Args:
        layer_input: as PEFT's hook found it, a tensor or a tuple that starts with one.
        places: row and position of every counted token, (tokens, 2).
        layer_name: not used.
    """
    del layer_name
    states: Tensor = layer_input if isinstance(layer_input, Tensor) else layer_input[0]
    rows, positions = places.T.unbind()
    if states.dim() == 3 and rows.max() < states.shape[0] and positions.max() < states.shape[1]:
        return states[rows, positions]
    return states.flatten(0, -2)


def check_inputs(setting: Setting) -> None:
    """Refuse layers that eva cannot read; looks at shapes only.

    Raises:
        ModelError: a layer with too few inputs.
    """
    needed_inputs = directions(setting)
    for name in setting.layers:
        width = inputs_of(setting.model.get_submodule(name))
        if needed_inputs > width:
            what = f"eva takes 2·r·eva_rho = {needed_inputs} directions, and {name} has {width} inputs"
            raise ModelError.at("adapter.r", what, "lower r or eva_rho, or leave such layers out")


def directions(setting: Setting) -> int:
    """How many directions PEFT's low-rank step works with: twice the largest rank."""
    return 2 * round(setting.config.r * setting.config.eva_rho)


def usable_batches(setting: Setting, calibration: Calibration) -> list[dict[str, Any]]:
    """Batches of at least `batch_size` rows with enough counting tokens each for PEFT's incremental decomposition.

    Raises:
        ModelError: the whole sample has fewer.
    """
    tokens_needed = directions(setting)
    batches = list(_grouped(setting, calibration, tokens_needed))
    if not batches:
        what = f"eva needs batches of at least {tokens_needed} tokens that carry labels; the whole sample has fewer"
        raise ModelError.at("adapter.calibration", what, "raise samples, or lower r or eva_rho")
    return batches


def inputs_of(layer: nn.Module) -> int:
    """How many inputs a linear layer has; GPT-2's are stored transposed."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return int(layer.nx)  # type: ignore[arg-type]


def _grouped(setting: Setting, calibration: Calibration, tokens_needed: int) -> Iterator[dict[str, Any]]:
    waiting: list[Any] = []
    for row in calibration.rows:
        waiting.append(row)
        if len(waiting) < setting.config.calibration.batch_size:
            continue
        batch = _of_tokens(calibration.batch_of(waiting, setting.model))
        if counted_tokens(batch) >= tokens_needed:
            yield batch
            waiting = []
    if waiting:
        batch = _of_tokens(calibration.batch_of(waiting, setting.model))
        if counted_tokens(batch) >= tokens_needed:
            yield batch


def _of_tokens(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch without labels that are one per row: every token of a class counts."""
    labels = batch.get("labels")
    if labels is not None and labels.shape != batch["input_ids"].shape:
        return {name: value for name, value in batch.items() if name != "labels"}
    return batch


def counted_tokens(batch: dict[str, Any]) -> int:
    """How many tokens of a batch PEFT feeds into the decomposition."""
    mask = batch["attention_mask"].bool()
    if "labels" in batch:
        mask = mask & (batch["labels"] != IGNORED_LABEL)
    return int(mask.sum())


class _Watch:
    """The model's forward, which gives up when the decomposition does not settle."""

    def __init__(self, batches: int) -> None:
        self.left = batches * PASSES_OVER_SAMPLE + 1

    def forward(self, model: nn.Module, batch: dict[str, Any]) -> Any:
        self.left -= 1
        if self.left < 0:
            what = f"eva's directions do not settle in {PASSES_OVER_SAMPLE} passes over the sample"
            raise ModelError.at("adapter.eva_tau", what, "lower it, or draw more rows")
        return model(**{name: value for name, value in batch.items() if name != "labels"})
