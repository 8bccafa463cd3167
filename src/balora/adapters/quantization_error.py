"""How far a quantized start is from the full-precision weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor

from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.checkpoint_weights import CheckpointWeights, plain_name
from balora.adapters.quantized import quantization_of, round_trip
from balora.adapters.quantized_start import START, base_weight, matching_weight


@dataclass(frozen=True, slots=True)
class WeightNorms:
    """Norms of a weight and of what an approximation misses of it."""

    weight_frobenius: float
    """‖W‖_F."""
    error_frobenius: float
    """‖W − Ŵ‖_F."""
    weight_nuclear: float | None = None
    """‖W‖_*, the sum of the singular values; None where it was not asked for."""
    error_nuclear: float | None = None
    """‖W − Ŵ‖_*."""

    @classmethod
    def of(cls, weight: Tensor, approximation: Tensor, *, nuclear: bool) -> WeightNorms:
        """Measured in float32."""
        full, gap = weight.float(), weight.float() - approximation.float()
        weight_norm, gap_norm = torch.linalg.norm(full).item(), torch.linalg.norm(gap).item()
        if not nuclear:
            return cls(weight_norm, gap_norm)
        sums = [torch.linalg.svdvals(matrix).sum().item() for matrix in (full, gap)]
        return cls(weight_norm, gap_norm, sums[0], sums[1])

    @property
    def frobenius(self) -> float:
        """‖W − Ŵ‖_F / ‖W‖_F."""
        return self.error_frobenius / self.weight_frobenius if self.weight_frobenius else self.error_frobenius

    @property
    def nuclear(self) -> float | None:
        """‖W − Ŵ‖_* / ‖W‖_*; None where it was not measured."""
        if self.weight_nuclear is None or self.error_nuclear is None:
            return None
        return self.error_nuclear / self.weight_nuclear if self.weight_nuclear else self.error_nuclear


def over_all(norms: Iterable[WeightNorms]) -> WeightNorms:
    """Norms of all layers as one block-diagonal matrix: Frobenius norms add in squares, nuclear norms as they are."""
    parts = list(norms)
    weight = math.hypot(*(part.weight_frobenius for part in parts))
    error = math.hypot(*(part.error_frobenius for part in parts))
    weights = [p.weight_nuclear for p in parts if p.weight_nuclear is not None]
    errors = [p.error_nuclear for p in parts if p.error_nuclear is not None]
    if len(errors) < len(parts):
        return WeightNorms(weight, error)
    return WeightNorms(weight, error, sum(weights), sum(errors))


@dataclass(frozen=True, slots=True)
class QuantizationErrors:
    """By layer: what plain quantization misses of the weight, and what the start of this run misses."""

    quantized: Mapping[str, WeightNorms]
    """Of q(W): what QLoRA starts from, and PiSSA anchored on it."""
    start: Mapping[str, WeightNorms]
    """Of what student and teacher compute at step 0."""

    def in_words(self) -> str:
        """One line for people."""
        plain, start = over_all(self.quantized.values()), over_all(self.start.values())
        nuclear = "" if start.nuclear is None else f" (nuclear norm: {start.nuclear:.4f})"
        line = f"the start misses {start.frobenius:.4f} of the norm of {len(self.start)} quantized weights{nuclear}"
        if start == plain:
            return line
        before = "" if plain.nuclear is None else f" ({plain.nuclear:.4f})"
        return f"{line}; quantizing the weights themselves would miss {plain.frobenius:.4f}{before}"

    def as_document(self) -> dict[str, Any]:
        """Relative errors, over all layers and by layer, for JSON."""

        def both(norms: WeightNorms) -> dict[str, float | None]:
            return {"frobenius": norms.frobenius, "nuclear": norms.nuclear}

        layers = {n: {"quantized": both(self.quantized[n]), "start": both(self.start[n])} for n in self.start}
        total = {"quantized": both(over_all(self.quantized.values())), "start": both(over_all(self.start.values()))}
        return {"relative_error": total, "layers": layers}


def quantization_errors(
    layers: Iterable[tuple[str, LoraLayer]], weights: CheckpointWeights, *, nuclear: bool = False
) -> QuantizationErrors:
    """Compare the start of every quantized layer with its full-precision weight, one weight in memory at a time.

    Args:
        layers: name and layer of every adapted layer, at step 0.
        weights: the checkpoint that the model was quantized from.
        nuclear: also the nuclear norm, which takes two SVDs per comparison.

    Raises:
        ModelError: the checkpoint cannot be read, or is another one.
    """
    quantized: dict[str, WeightNorms] = {}
    start: dict[str, WeightNorms] = {}
    for name, layer in layers:
        if quantization_of(layer.get_base_layer()) is None:
            continue
        quantized[plain_name(name)], start[plain_name(name)] = _norms_of_layer(name, layer, weights, nuclear=nuclear)
    return QuantizationErrors(quantized=quantized, start=start)


def _norms_of_layer(
    name: str, layer: LoraLayer, weights: CheckpointWeights, *, nuclear: bool
) -> tuple[WeightNorms, WeightNorms]:
    """Of plain quantization and of the start; the full-precision weight is gone when it returns."""
    base, factors = layer.get_base_layer(), layer._modules.get(START)
    present = base_weight(base).float()
    if factors is None:
        norms = WeightNorms.of(matching_weight(name, base, weights), present, nuclear=nuclear)
        return norms, norms
    anchor: Any = factors.get_submodule(ADAPTER_NAME)
    principal = layer.scaling[ADAPTER_NAME] * (anchor.up @ anchor.down)
    weight = matching_weight(name, base, weights, start=principal)
    plain = WeightNorms.of(weight, round_trip(base, weight), nuclear=nuclear)
    return plain, WeightNorms.of(weight, present + principal, nuclear=nuclear)
