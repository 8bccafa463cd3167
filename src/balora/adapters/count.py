"""How many numbers train."""

from __future__ import annotations

from typing import NamedTuple

from peft.tuners.adalora import AdaLoraLayer
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor, nn

from balora.adapters.additions.addition import Addition
from balora.adapters.quantized_start import START


class ParameterCounts(NamedTuple):
    """Counts of numbers, not bytes."""

    adapter: int
    """Trainable in adapters: what papers report."""
    head: int
    """Trainable outside adapters: task heads, or everything under full fine-tuning."""
    anchor: int
    """Frozen starting factors."""
    total: int
    """All, the base included, anchors not."""

    @property
    def trainable(self) -> int:
        """Everything that the optimizer moves."""
        return self.adapter + self.head

    def __str__(self) -> str:
        share = 100 * self.trainable / max(self.total, 1)
        parts = f"{self.trainable:,} of {self.total:,} parameters train ({share:.2f} %)"
        if self.adapter:
            parts += f": adapter {self.adapter:,}, head {self.head:,}, anchor (frozen) {self.anchor:,}"
        return parts


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Count what trains and what does not."""
    in_adapters = set()
    anchor = 0
    for module in model.modules():
        if isinstance(module, LoraLayer):
            values = [module.lora_E] if isinstance(module, AdaLoraLayer) else []
            for part in (module.lora_A, module.lora_B, module.lora_magnitude_vector, *values):
                in_adapters |= {id(parameter) for parameter in part.parameters()}
            starts = [part for name in ("anchor", START) if (part := module._modules.get(name)) is not None]
            anchor += sum(buffer.numel() for part in starts for buffer in part.buffers())
        elif isinstance(module, Addition):
            in_adapters |= {id(parameter) for parameter in module.parameters()}
    adapter = head = total = 0
    for parameter in model.parameters():
        total += numbers_in(parameter)
        if parameter.requires_grad:
            adapter += parameter.numel() * (id(parameter) in in_adapters)
            head += parameter.numel() * (id(parameter) not in in_adapters)
    return ParameterCounts(adapter=adapter, head=head, anchor=anchor, total=total)


def numbers_in(parameter: Tensor) -> int:
    """How many weights a parameter stands for; bitsandbytes packs two of 4 bits into a byte."""
    packed = vars(parameter).get("quant_state")
    return parameter.numel() if packed is None else int(packed.shape.numel())
