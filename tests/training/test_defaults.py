"""What is trained with where the recipe is silent, and that the resolved recipe says so."""

from __future__ import annotations

import pytest
from transformers import TrainingArguments

from balora.recipe import Recipe, dump_recipe, parse_recipe
from balora.training.defaults import missing_training_settings


def recipe(task: str, method: str = "pissa", **training: object) -> Recipe:
    data = {"train": "rows.csv"}
    return Recipe(model={"name_or_path": "m"}, data=data, task=task, adapter={"method": method}, training=training)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "method", "rate"),
    [
        ("classification", "pissa", 3e-4),
        ("regression", "lora", 3e-4),
        ("generation", "pissa", 2e-5),
        ("classification", "full", 2e-5),
    ],
)
def test_the_learning_rate_fits_the_task_and_the_method(task: str, method: str, rate: float) -> None:
    assert recipe(task, method).training["learning_rate"] == rate
    assert recipe(task, method, learning_rate=0.5).training["learning_rate"] == 0.5


def test_the_resolved_recipe_does_not_lean_on_the_defaults_of_any_version() -> None:
    resolved = recipe("classification", gradient_accumulation_steps=4)
    read_again = parse_recipe(dump_recipe(resolved))
    assert read_again == resolved
    assert {"learning_rate", "num_train_epochs", "weight_decay", "seed"} <= set(read_again.training)
    assert read_again.training["gradient_accumulation_steps"] == 4


def test_apart_from_the_learning_rate_they_are_transformers_own(tmp_path: object) -> None:
    own = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    filled = missing_training_settings({}, "classification", full=False)
    del filled["learning_rate"]
    assert filled == {name: getattr(own, name) for name in filled}


def test_steps_replace_epochs() -> None:
    assert "num_train_epochs" not in recipe("generation", max_steps=5).training
    assert "num_train_epochs" in recipe("generation", max_steps=-1).training
