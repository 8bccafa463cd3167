"""The state file: an exact round trip, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from balora.adapters import (
    AdapterConfig,
    adapters_off,
    attach_adapter,
    load_start,
    load_trainable_state,
    save_trainable_state,
)
from balora.adapters.state import STATE_FILE
from balora.errors import ModelError
from tests.adapters.families import disturb, inputs_for, logits
from tests.support import tiny


def adapted(seed: int = 0, **changes: object) -> torch.nn.Module:
    config = AdapterConfig(r=4, svd="randomized", seed=seed, **changes)  # type: ignore[arg-type]
    return attach_adapter(tiny.build("roberta", "sequence_classification"), config)


def test_round_trip_is_bitwise_even_from_another_start(tmp_path: Path) -> None:
    model = adapted(seed=0)
    disturb(model)
    trained = logits(model, inputs_for("roberta"))
    save_trainable_state(model, tmp_path)
    other = adapted(seed=1)
    load_trainable_state(other, tmp_path)
    assert torch.equal(logits(other, inputs_for("roberta")), trained)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=STATE_FILE):
        load_trainable_state(adapted(), tmp_path)
    path = save_trainable_state(adapted(), tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=f"{STATE_FILE}: cannot be read"):
        load_trainable_state(adapted(), tmp_path)


def test_another_adapter_is_refused(tmp_path: Path) -> None:
    save_trainable_state(adapted(), tmp_path)
    with pytest.raises(ModelError, match="holds other parameters"):
        load_trainable_state(adapted(target_modules=["query"]), tmp_path)


def test_another_rank_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    save_trainable_state(adapted(), tmp_path)
    config = AdapterConfig(r=2)
    other = attach_adapter(tiny.build("roberta", "sequence_classification"), config)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ModelError, match="has shape"):
        load_trainable_state(other, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def with_head(seed: int) -> torch.nn.Module:
    """The same body with another random head, as a second process would make it."""
    base = tiny.build("roberta", "sequence_classification")
    torch.manual_seed(seed)
    base.classifier.out_proj.reset_parameters()
    return attach_adapter(base, AdapterConfig(r=4))


def test_the_teacher_s_head_comes_back_too(tmp_path: Path) -> None:
    inputs = inputs_for("roberta")
    model = with_head(seed=1)
    start = logits(model, inputs)
    disturb(model)
    trained = logits(model, inputs)
    save_trainable_state(model, tmp_path)
    other = with_head(seed=2)
    load_start(other, tmp_path)
    torch.testing.assert_close(logits(other, inputs), start, rtol=0, atol=1e-5)
    load_trainable_state(other, tmp_path)
    assert torch.equal(logits(other, inputs), trained)
    with adapters_off(other):
        torch.testing.assert_close(logits(other, inputs), start, rtol=0, atol=1e-5)


def test_a_file_without_frozen_heads_still_loads(tmp_path: Path) -> None:
    model = with_head(seed=1)
    disturb(model)
    path = save_trainable_state(model, tmp_path)
    save_file({n: v for n, v in load_file(path).items() if ".original_module." not in n}, path)
    other = with_head(seed=2)
    load_start(other, tmp_path)
    load_trainable_state(other, tmp_path)
    assert torch.equal(logits(other, inputs_for("roberta")), logits(model, inputs_for("roberta")))
