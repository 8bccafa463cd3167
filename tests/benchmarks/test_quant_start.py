"""The table of quantized starts says what theory says, on small matrices."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import quant_start
from tests.support.bits import save_wide


@pytest.mark.parametrize("kind", ["nf4", "nf4, scales quantized too", "int8"])
def test_the_residual_misses_less_than_the_weight_itself(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quant_start, "SIDE", 128)
    weights = quant_start.random_weights()
    steep = torch.linalg.svdvals(weights["singular values i^-0.7"])
    torch.testing.assert_close(steep, torch.arange(1, 129) ** -0.7, rtol=1e-3, atol=1e-4)
    found = quant_start.table("x", {"steep": weights["singular values i^-0.7"]}, kind, 8, "cpu").values
    missed = {way: numbers["nuclear"] for way, numbers in found.items()}
    assert missed["residual, 5 iterations"] < missed["residual, 1 iteration"] < missed["QLoRA: q(W)"]
    assert missed["PiSSA anchored on q(W)"] == pytest.approx(missed["QLoRA: q(W)"], rel=1e-4)


def test_real_weights_are_the_matrices_of_the_blocks(tmp_path: Path) -> None:
    save_wide(tmp_path, "llama", intermediate_size=96)
    names = set(quant_start.stored_weights(tmp_path))
    assert len(names) == 12
    assert not any("down_proj" in name or "embed" in name for name in names)
