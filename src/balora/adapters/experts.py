"""Adapters on stacked weights: the experts of a mixture, which transformers 5 keeps as one parameter per projection.

PEFT adapts such a parameter through a `ParamWrapper`: A of shape (E·r, in) and B of shape (out, r·E) hold one pair of
factors for each of the E experts, and for the length of a forward the parameter is W + s·BA. An anchored one is
W + s·(BA − B₀A₀), which at step 0 is W to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft.tuners.lora.layer import ParamWrapper
from torch import Tensor, nn

from balora.adapters.anchor import (
    ADAPTER_NAME,
    ANCHOR_FORMATS,
    Anchor,
    experts_with_anchor,
    join_experts,
    split_experts,
)
from balora.adapters.factors import Factors


class AnchoredParameter(ParamWrapper):
    """PEFT's wrapper of one parameter, with the anchor's part taken off its update."""

    def get_delta_factors(self, adapter_name: str) -> tuple[Tensor, Tensor, float]:
        """Two factors whose product, times the scaling, is the update in the parameter's own layout."""
        up, down = self._update(adapter_name)
        if not self._did_swap_in_out_features:
            up, down = down.mT, up.mT
        dtype = self.get_param().dtype
        return up.to(dtype), down.to(dtype), self.scaling[adapter_name]

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """The update in the parameter's own layout, worked in float32."""
        up, down = self._update(adapter_name)
        with torch.autocast(up.device.type, enabled=False):
            delta: Tensor = (up @ down) * self.scaling[adapter_name]
        parameter = self.get_param()
        if parameter.dim() == 2:
            delta = delta[0]
        elif not self._did_swap_in_out_features:
            delta = delta.mT
        return delta.to(parameter.dtype) if parameter.dtype in ANCHOR_FORMATS else delta

    def _update(self, adapter_name: str) -> tuple[Tensor, Tensor]:
        """[B − B₀, B₀] of shape (E, out, 2r) and [A; A − A₀] of shape (E, 2r, in)."""
        flat_down, flat_up = self.lora_A[adapter_name].weight, self.lora_B[adapter_name].weight
        down, up = split_experts(flat_down, flat_up, self.num_experts)
        anchor = self.anchor[adapter_name]
        both_down, both_up = experts_with_anchor(down, up, anchor.down, anchor.up)
        return both_up, both_down


def expert_weights(layer: ParamWrapper) -> list[Tensor]:
    """The frozen matrix of every expert as (out_features, in_features); one for a plain weight."""
    parameter: Tensor = layer.get_param()
    if parameter.dim() == 2:
        return [parameter]
    return list(parameter if layer._did_swap_in_out_features else parameter.mT)


def anchor_experts(layer: ParamWrapper, factors: Sequence[Factors]) -> None:
    """Start every expert's pair at its factors and anchor it there; the same rounding as in `anchor_layer`."""
    parameter = layer.get_param()
    stored = parameter.dtype if parameter.dtype in ANCHOR_FORMATS else torch.float32
    down = torch.stack([pair.down for pair in factors]).to(stored)
    up = torch.stack([pair.up for pair in factors]).to(stored)
    flat_down, flat_up = join_experts(down, up)
    with torch.no_grad():
        layer.lora_A[ADAPTER_NAME].weight.copy_(flat_down)
        layer.lora_B[ADAPTER_NAME].weight.copy_(flat_up)
    layer.anchor = nn.ModuleDict({ADAPTER_NAME: Anchor(down, up)})
    # PEFT has no hook for a changed update of a parameter, and makes these wrappers itself.
    layer.__class__ = AnchoredParameter
