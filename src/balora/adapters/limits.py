"""What cannot be adapted by which method: one table, which the documentation shows and `attach_adapter` goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from balora.adapters.registry import Method
from balora.adapters.targets import expert_stacks, goes_by_weight
from balora.errors import ModelError


@dataclass(frozen=True, slots=True)
class Limit:
    """A kind of layer that a method cannot adapt."""

    method: str
    """Its name in the registry."""
    because: str
    """Why, as the end of a sentence."""


STACKED_EXPERTS: dict[str, Limit] = {
    limit.method: limit
    for limit in (Limit("dora", "PEFT keeps no magnitudes for a parameter that holds several matrices"),)
}
"""Methods that cannot adapt the experts of a mixture, which transformers 5 keeps stacked in one parameter."""


def refuse_impossible(method: Method, model: PreTrainedModel, chosen: Sequence[str], *, dropout: float) -> None:
    """Stop before anything is attached where a method, or dropout, cannot reach a chosen layer.

    Raises:
        ModelError: names the first such layer, why, and what to write instead.
    """
    stacks = expert_stacks(model)
    by_weight = [name for name in chosen if goes_by_weight(name, stacks)]
    if not by_weight:
        return
    first = next((name for name in by_weight if name in stacks), by_weight[0])
    others = sorted({name.rsplit(".", 1)[-1] for name in chosen if name not in by_weight})
    leave_out = f"leave experts out: adapter.target_modules: [{', '.join(others)}]" if others else "name other layers"
    limit = STACKED_EXPERTS.get(method.name)
    if limit is not None:
        what = f"{method.name} cannot adapt {first} of a mixture of experts: {limit.because}"
        raise ModelError.at("adapter.method", what, f"use pissa or lora, or {leave_out}")
    if dropout:
        what = f"is {dropout:g}, which cannot act on {first}: the experts' input does not pass the adapter"
        raise ModelError.at("adapter.dropout", what, f"set it to 0, or {leave_out}")
