"""What cannot be adapted by which method: one table, which the documentation shows and `attach_adapter` goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from transformers import PreTrainedModel

from balora.adapters.additions.bitfit import biased_layers
from balora.adapters.registry import METHODS
from balora.adapters.targets import expert_stacks, goes_by_weight
from balora.errors import ModelError

STACKED_EXPERTS = "stacked experts"
"""A mixture whose experts are one parameter per projection, as all are in transformers 5."""

ENCODER_DECODER = "an encoder and a decoder"
"""T5 and its kind."""

NO_BIASES = "no biases"
"""Llama and most decoders after it."""

DEBERTA_V1 = "the attention of DeBERTa v1"
"""Its in-place changes to views."""


def _has_no_biases(model: PreTrainedModel) -> bool:
    try:
        return not biased_layers(model)
    except ModelError:
        return True


TRAITS: Mapping[str, Callable[[PreTrainedModel], bool]] = MappingProxyType(
    {
        STACKED_EXPERTS: lambda model: bool(expert_stacks(model)),
        ENCODER_DECODER: lambda model: bool(model.config.is_encoder_decoder),
        NO_BIASES: _has_no_biases,
        DEBERTA_V1: lambda model: model.config.model_type == "deberta",
    }
)
"""What a model may have -> whether it has it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A method and a trait of models that do not go together."""

    method: str
    """Its name in the registry."""
    trait: str
    """One of `TRAITS`. Stacked experts stand in the way only where they are adapted."""
    because: str
    """Why, as the end of a sentence."""


_NO_INPUTS = "its start looks at the inputs of each layer, and stacked experts are no layers"

LIMITS: tuple[Limit, ...] = (
    Limit("dora", STACKED_EXPERTS, "PEFT keeps no magnitudes for a parameter that holds several matrices"),
    Limit("adalora", STACKED_EXPERTS, "PEFT moves the ranks of layers only"),
    Limit("eva", ENCODER_DECODER, "it reads the tokens of one sequence"),
    Limit("lora_ga", DEBERTA_V1, "its backward hooks meet a change in place in transformers' code"),
    Limit("lora_fa", STACKED_EXPERTS, "its optimizer would mix the factors of different experts"),
    Limit("bitfit", NO_BIASES, "it trains nothing else"),
    *(Limit(name, STACKED_EXPERTS, _NO_INPUTS) for name, method in METHODS.items() if method.calibrated),
)
"""Every impossible pair; all others work."""


def limit_of(method: str, model: PreTrainedModel) -> Limit | None:
    """Why a method cannot adapt every linear layer of a model; None where it can."""
    return next((limit for limit in LIMITS if limit.method == method and TRAITS[limit.trait](model)), None)


def refuse_impossible(method: str, model: PreTrainedModel, chosen: Sequence[str], *, dropout: float) -> None:
    """Stop before anything is attached where a method, or dropout, cannot reach a chosen layer.

    Raises:
        ModelError: names the first such layer, why, and what to write instead.
    """
    stacks = expert_stacks(model)
    by_weight = [name for name in chosen if goes_by_weight(name, stacks)]
    others = sorted({name.rsplit(".", 1)[-1] for name in chosen if name not in by_weight})
    leave_out = f"leave experts out: adapter.target_modules: [{', '.join(others)}]" if others else "name other layers"
    first = next((name for name in by_weight if name in stacks), by_weight[0] if by_weight else "")
    limit = limit_of(method, model)
    if limit is not None and limit.trait != STACKED_EXPERTS:
        what = f"{method} cannot adapt a model with {limit.trait}: {limit.because}"
        raise ModelError.at("adapter.method", what, "use pissa or lora")
    if limit is not None and by_weight:
        what = f"{method} cannot adapt {first} of a mixture of experts: {limit.because}"
        raise ModelError.at("adapter.method", what, f"use pissa or lora, or {leave_out}")
    if dropout and by_weight:
        what = f"is {dropout:g}, which cannot act on {first}: the experts' input does not pass the adapter"
        raise ModelError.at("adapter.dropout", what, f"set it to 0, or {leave_out}")
