"""What is written reads back to the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from balora.adapters.registry import METHODS
from balora.recipe.catalogue import RECIPES
from balora.recipe.dump import dump_recipe
from balora.recipe.load import load_recipe, parse_recipe
from balora.recipe.schema import Recipe
from balora.redaction import has_credential

words = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["no", "1e5", "null", "true", "0x1", "~", "- a", "{x}", "a: b"]
)
share = st.floats(0, 1, exclude_max=True)
positive = st.floats(1e-9, 1e9)
optional_words = st.none() | words

recipes = st.builds(
    lambda **values: Recipe.model_validate(values),
    task=st.sampled_from(["classification", "regression", "generation"]),
    model=st.fixed_dictionaries(
        {"name_or_path": words}, optional={"revision": optional_words, "dtype": st.sampled_from(["auto", "bfloat16"])}
    ),
    data=st.fixed_dictionaries(
        {"train": words},
        optional={
            "validation": st.none() | words | st.floats(0, 1, exclude_min=True, exclude_max=True),
            "columns": st.dictionaries(words, words | st.integers(0, 9), max_size=3),
            "labels": st.none() | st.lists(words, max_size=3) | st.dictionaries(words, st.integers(0, 3), max_size=3),
            "template": words,
            "header": st.none() | st.booleans(),
            "delimiter": optional_words,
        },
    ),
    adapter=st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(list(METHODS)),
            "r": st.integers(1, 512),
            "alpha": st.none() | positive,
            "dropout": share,
            "target_modules": words | st.lists(words, max_size=3),
        },
    ),
    regularizers=st.sampled_from(["paper", "none"])
    | st.fixed_dictionaries(
        {},
        optional={
            "formulation": st.sampled_from(["2026", "2024"]),
            "consistency_weight": positive,
            "spectral_k": st.none() | st.integers(1, 99) | st.floats(0.01, 0.99),
            "temperature": positive,
            "teacher_cache_dir": st.none() | words.map(Path),
        },
    ),
    training=st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(0, 1),
            "warmup_ratio": share,
            "bf16": st.booleans(),
            "run_name": words,
            "lr_scheduler_kwargs": st.dictionaries(words, positive | words | st.booleans(), max_size=2),
        },
    ),
    output=st.fixed_dictionaries({}, optional={"dir": st.none() | words.map(Path)}),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipes)
def test_a_dumped_recipe_loads_to_an_equal_one(recipe: Recipe) -> None:
    text = dump_recipe(recipe)
    assume(not has_credential(text))
    assert parse_recipe(text) == recipe
    assert dump_recipe(parse_recipe(text)) == text


@pytest.mark.parametrize("name", RECIPES.names())
def test_shipped_recipes_survive_it_too(name: str) -> None:
    recipe = load_recipe(name)
    assert parse_recipe(dump_recipe(recipe)) == recipe


def test_the_header_promises_no_more_than_stands_below() -> None:
    text = "task: generation\nmodel: {name_or_path: m}\ndata: {train: t.csv}"
    header = dump_recipe(parse_recipe(text)).split("task:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert f"as in transformers {transformers.__version__}" in " ".join(header.replace("#", " ").split())


def test_every_setting_is_written_out() -> None:
    text = dump_recipe(load_recipe("classify-your-csv"))
    for section in ("model", "data", "adapter", "regularizers", "evaluation", "output"):
        assert f"\n{section}:\n" in text
    assert "\n  tokenizer: null\n" in text
    assert "\n  learning_rate: 0.0001\n" in text
