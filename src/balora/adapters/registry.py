"""The methods: one row each, with its paper and what it asks of PEFT."""

from __future__ import annotations

from dataclasses import dataclass

from balora.errors import ModelError, did_you_mean


@dataclass(frozen=True, slots=True)
class Method:
    """One way to adapt a pretrained model."""

    name: str
    """The word in a recipe."""
    paper: str
    """arXiv number, or none for full fine-tuning."""
    trains: str
    """Which numbers change."""
    low_rank: bool = True
    """Whether it is a LoRA adapter, or trains the model's own weights."""
    principal_start: bool = False
    """Whether factors start at the principal singular vectors, with an anchor that keeps the base as it is."""
    use_rslora: bool = False
    """Scale by alpha/√r instead of alpha/r."""
    use_dora: bool = False
    """Train the columns' magnitudes beside the direction."""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lora", "2106.09685", "A, B"),
        Method("rslora", "2312.03732", "A, B", use_rslora=True),
        Method("dora", "2402.09353", "A, B, magnitudes", use_dora=True),
        Method("pissa", "2404.02948", "A, B from the principal singular vectors", principal_start=True),
        Method("full", "", "every weight", low_rank=False),
    )
}
"""Name -> method, in the order of the table in the documentation."""


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ModelError: when there is none; names the closest.
    """
    if name not in METHODS:
        raise ModelError.at("adapter.method", f"unknown method '{name}'", did_you_mean(name, METHODS))
    return METHODS[name]
