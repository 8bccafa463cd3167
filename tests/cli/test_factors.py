"""`balora factors` says what it computed and what was there."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from balora.adapters import Streamed
from balora.run.factors import CachedFactors


@pytest.fixture
def computed(fake_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def cache_factors(recipe: Any, on_layer: Callable[[Streamed], None] | None) -> CachedFactors:
        for name, known in (("layers.0.up", False), ("layers.1.up", True)):
            if on_layer is not None:
                on_layer(Streamed(name, known=known))
        return CachedFactors(Path("cache") / recipe.adapter.method, computed=1, known=1)

    module = types.ModuleType("balora.run.factors")
    module.cache_factors = cache_factors  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "balora.run.factors", module)


def test_every_layer_is_told_and_the_folder(balora: Any, computed: None) -> None:
    outcome = balora("factors", "recipe.yaml", "adapter.method=pissa")
    assert outcome.code == 0
    assert outcome.out == "cache/pissa: 1 layers computed, 1 known already\n"
    assert outcome.err == "layers.0.up\nlayers.1.up (known)\n"


def test_quiet_and_as_json(balora: Any, computed: None) -> None:
    outcome = balora("factors", "recipe.yaml", "--quiet", "--json")
    assert outcome.document == {"folder": "cache/pissa", "computed": 1, "known": 1}
    assert outcome.err == ""


def test_four_bits_of_torchao_are_answered_with_nf4(balora: Any) -> None:
    outcome = balora("factors", "recipe.yaml", "model.quantization=int4")
    assert outcome.code == 2
    assert "for 4 bits write nf4" in outcome.err
