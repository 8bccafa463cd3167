"""Notes: what works against itself is said, what is fine is not."""

from __future__ import annotations

import pytest

from balora.recipe.notes import recipe_notes
from balora.recipe.schema import Recipe


def notes(**changes) -> str:
    values = {"task": "classification", "model": {"name_or_path": "m"}, "data": {"train": "t"}, **changes}
    return "\n".join(recipe_notes(Recipe.model_validate(values)))


def test_an_ordinary_recipe_has_none() -> None:
    assert notes() == ""
    assert notes(task="generation", training={"learning_rate": 2e-5}, adapter={"r": 128}) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training": {"learning_rate": 1e-4}, "adapter": {"r": 64}},
            "training.learning_rate: 0.0001 is high for PiSSA",
        ),
        ({"adapter": {"dropout": 0.1}}, "adapter.dropout: 0.1 with PiSSA"),
        ({"task": "regression"}, "diversity and spectral terms are off"),
        ({"training": {"per_device_train_batch_size": 1}}, "1 row has no covariance"),
        ({"training": {"warmup_ratio": 0.1}}, "warmup_steps"),
    ],
)
def test_what_is_worth_knowing_is_said_once(changes: dict, said: str) -> None:
    assert notes(**changes).count(said) == 1
    assert notes(**changes).count("\n") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"learning_rate": 1e-4}, "adapter": {"r": 64, "method": "lora"}},
        {"adapter": {"dropout": 0.1, "method": "lora"}},
        {"task": "regression", "regularizers": "none"},
        {"training": {"per_device_train_batch_size": 1}, "regularizers": "none"},
        {"training": {"per_device_train_batch_size": 1}, "task": "generation"},
    ],
)
def test_what_does_not_apply_is_not_said(changes: dict) -> None:
    assert notes(**changes) == ""
