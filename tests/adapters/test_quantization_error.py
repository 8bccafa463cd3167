"""What a quantized start misses of the weights, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from balora import AdapterConfig, prepare_model
from balora.adapters import CheckpointWeights, WeightNorms, adapted_layers, over_all, quantization_errors
from balora.adapters.quantized import round_trip, unpacked_weight
from tests.support.bits import load_in_bits, save_wide


def test_norms_are_those_of_numpy() -> None:
    weight, near = torch.randn(6, 9), torch.randn(6, 9)
    norms = WeightNorms.of(weight, near, nuclear=True)
    gap = weight.numpy() - near.numpy()
    assert norms.frobenius == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(weight.numpy()), rel=1e-5)
    expected = np.linalg.norm(gap, "nuc") / np.linalg.norm(weight.numpy(), "nuc")
    assert norms.nuclear == pytest.approx(expected, rel=1e-5)
    assert WeightNorms.of(weight, near, nuclear=False).nuclear is None


def test_all_layers_together_are_one_block_diagonal_matrix() -> None:
    pairs = [(torch.randn(4, 5), torch.randn(4, 5)), (torch.randn(3, 7), torch.randn(3, 7))]
    parts = [WeightNorms.of(*pair, nuclear=True) for pair in pairs]
    whole = WeightNorms.of(*(torch.block_diag(*side) for side in zip(*pairs, strict=True)), nuclear=True)
    assert over_all(parts).frobenius == pytest.approx(whole.frobenius, rel=1e-5)
    assert over_all(parts).nuclear == pytest.approx(whole.nuclear, rel=1e-5)
    assert over_all([parts[0], WeightNorms.of(*pairs[1], nuclear=False)]).nuclear is None


def test_a_weight_of_zeros_is_missed_by_what_is_put_in_its_place() -> None:
    assert WeightNorms.of(torch.zeros(2, 2), torch.zeros(2, 2), nuclear=True).frobenius == 0.0
    assert WeightNorms.of(torch.zeros(2, 2), torch.eye(2), nuclear=True).nuclear == 2.0


@pytest.mark.parametrize("start", ["anchor", "residual"])
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_the_start_is_measured_by_layer(tmp_path: Path, quantization: str, start: str) -> None:
    full = save_wide(tmp_path, "llama")
    config = AdapterConfig(method="pissa", r=4, alpha=8, quantized_start=start)
    adapted = prepare_model(load_in_bits(tmp_path, "llama", quantization), config)
    layers = list(adapted_layers(adapted))
    errors = quantization_errors(layers, CheckpointWeights.of(adapted.get_base_model()))
    assert len(errors.start) == len(layers) == 14
    for name, layer in layers:
        plain = name.removeprefix("base_model.model.")
        weight, base = full.get_submodule(plain).weight, layer.get_base_layer()
        began = unpacked_weight(base).float()
        if start == "residual":
            factors = layer.quantized_start["default"]
            began = began + 2 * factors.up @ factors.down
        assert errors.start[plain].frobenius == pytest.approx(
            ((weight - began).norm() / weight.norm()).item(), rel=1e-4
        )
        missed = (weight - round_trip(base, weight)).norm() / weight.norm()
        assert errors.quantized[plain].frobenius == pytest.approx(missed.item(), rel=1e-3)
    document = errors.as_document()
    assert set(document["layers"]) == set(errors.start)
    assert document["relative_error"]["start"]["frobenius"] == over_all(errors.start.values()).frobenius
    assert ("would miss" in errors.in_words()) == (start == "residual")
