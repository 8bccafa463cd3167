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
        ({"training": {"warmup_ratio": 0.1}}, "warmup_steps"),
        ({"adapter": {"method": "bitfit", "target_modules": ["query"]}}, "target_modules: not used, because bitfit"),
        ({"training": {"optim": "sgd"}, "adapter": {"method": "lora_fa"}}, "training.optim: not used, because lora_fa"),
    ],
)
def test_what_is_worth_knowing_is_said_once(changes: dict, said: str) -> None:
    assert notes(**changes).count(said) == 1
    assert notes(**changes).count("\n") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"learning_rate": 1e-4}, "adapter": {"r": 64, "method": "lora"}},
        {"training": {"learning_rate": 1e-4}, "adapter": {"r": 32}},
        {"training": {"learning_rate": 9e-5}, "adapter": {"r": 64}},
    ],
)
def test_what_does_not_apply_is_not_said(changes: dict) -> None:
    assert notes(**changes) == ""
