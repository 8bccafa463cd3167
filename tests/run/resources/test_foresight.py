"""What is looked at before a run starts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from balora.run import train
from balora.run.parts import read_inputs, training_arguments_of
from balora.run.resources.estimate import estimate
from balora.run.resources.foresight import foresee, rough_memory
from tests.run.test_training import recipe_for


@pytest.mark.parametrize("kind", ["classification", "generation", "seq2seq"])
def test_the_rough_bound_lies_above_the_estimate(kind: str, tmp_path: Path) -> None:
    recipe = recipe_for(kind, tmp_path)
    inputs, arguments = read_inputs(recipe), training_arguments_of(recipe)
    close = estimate(recipe, inputs, arguments)
    assert 2 * rough_memory(recipe, inputs, arguments) > close.memory_total_bytes - close.memory_bytes["program"]


def test_a_run_that_fits_easily_is_not_reckoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.run.resources.foresight.estimate", None)
    recipe = recipe_for("generation", tmp_path)
    assert foresee(recipe, read_inputs(recipe), training_arguments_of(recipe)) is None


def test_one_that_may_not_fit_is_reckoned_and_draws_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for("generation", tmp_path)
    inputs, arguments = read_inputs(recipe), training_arguments_of(recipe)

    def drawn() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    def seeded() -> None:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    seeded()
    expected = drawn()
    monkeypatch.setattr("balora.run.resources.foresight.free_main_memory", lambda: 1 << 20)
    seeded()
    assert foresee(recipe, inputs, arguments) is not None
    assert drawn() == expected


def test_what_does_not_fit_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("balora.run.resources.foresight.free_main_memory", lambda: 1 << 20)
    monkeypatch.setattr("balora.run.resources.machine.free_main_memory", lambda: -(1 << 40))
    train(recipe_for("classification", tmp_path))
    told = capfd.readouterr().err
    assert "note: needs about" in told
    assert told.index("needs about") < told.index("step")
