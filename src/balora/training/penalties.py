"""Terms of the loss that come from the adapter's weights: the weight penalty, and AdaLoRA's orthogonality."""

from __future__ import annotations

import torch
from torch import nn

from balora.adapters import adalora_of, orthogonality, weight_updates
from balora.errors import ModelError
from balora.losses import LossReport, update_norm_squared
from balora.training.config import BALoraConfig


class Penalties:
    """Adds to a report what the adapter's weights cost; nothing for most runs."""

    def __init__(self, model: nn.Module, config: BALoraConfig, *, sharded: bool = False) -> None:
        """Look at the model once.

        Raises:
            ModelError: a weight penalty on a model without adapter, or on weights spread over devices.
        """
        self.model = model
        self.weight = config.weight_penalty
        self.adalora = adalora_of(model)
        if self.weight and next(weight_updates(model), None) is None:
            what = "a weight penalty measures the adapter, and there is none"
            raise ModelError.at("regularizers.weight_penalty", what, "set it to 0, or use an adapter method")
        if sharded and (self.weight or self.adalora is not None):
            what = "terms on weights need them whole, and they are spread over devices (FSDP, DeepSpeed)"
            raise ModelError.at("regularizers.weight_penalty", what, "train without sharding, or leave the term out")

    def added_to(self, report: LossReport, *, parts: int) -> LossReport:
        """The report of one of `parts` micro-batches with its share of the penalties."""
        if self.adalora is not None:
            weight = self.adalora.peft_config["default"].orth_reg_weight
            if weight:
                report = report.with_penalty("orthogonality", weight, orthogonality(self.adalora) / parts)
        if self.weight:
            norms = [
                update_norm_squared(
                    update.up, update.down, update.up_start, update.down_start, scaling=update.scaling
                ).to(report.total.device)
                for update in weight_updates(self.model)
            ]
            report = report.with_penalty("weight_penalty", self.weight, torch.stack(norms).sum() / parts)
        return report
