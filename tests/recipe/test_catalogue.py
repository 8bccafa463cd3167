"""The shipped recipes: readable, small, valid, and never written over anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.errors import OutputError, RecipeError
from balora.recipe.catalogue import RECIPES
from balora.recipe.load import load_recipe, parse_recipe

LONGEST_RECIPE_LINES = 40
OWN_DATA = {"classify-your-csv", "score-your-pairs", "instruct-your-jsonl", "chat-your-messages"}


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_shipped_recipe_is_valid_short_and_explained(name: str) -> None:
    recipe = RECIPES.named(name)
    parse_recipe(recipe.text, origin=name)
    assert recipe.text.count("\n") <= LONGEST_RECIPE_LINES
    assert recipe.text.startswith("# ")
    assert 20 < len(recipe.title) < 100
    assert "arXiv" in recipe.text or name in OWN_DATA


@pytest.mark.parametrize("name", sorted(OWN_DATA))
def test_a_placeholder_is_explained_where_it_is_used(name: str) -> None:
    text = RECIPES.named(name).text
    path = load_recipe(name).data.train
    assert path is not None
    assert path.startswith("path/to/")
    assert f"Replace {path}" in text


def test_the_paper_settings_are_the_papers() -> None:
    recipe = load_recipe("metamath-llama2-7b-balora")
    assert (recipe.adapter.r, recipe.adapter.scaling_alpha, recipe.adapter.svd_iterations) == (128, 128, 16)
    assert recipe.training["learning_rate"] == 2e-5
    rows = recipe.training["per_device_train_batch_size"] * recipe.training["gradient_accumulation_steps"]
    assert rows == 32
    terms = recipe.regularizers
    assert (terms.consistency_weight, terms.diversity_weight, terms.spectral_weight) == (0.025, 0.005, 0.005)


def test_the_baselines_differ_from_balora_only_where_they_must() -> None:
    full = load_recipe("metamath-llama2-7b-balora")
    for name, method in {"metamath-llama2-7b-pissa": "pissa", "metamath-llama2-7b-lora": "lora"}.items():
        baseline = load_recipe(name)
        assert baseline.adapter.method == method
        assert not baseline.regularizers.active
        assert (baseline.model, baseline.data, baseline.training) == (full.model, full.data, full.training)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'classify-your-csv'"):
        RECIPES.named("clasify-your-csv")
    assert RECIPES.named("classify-your-csv.yaml").name == "classify-your-csv"
    assert [recipe.name for recipe in RECIPES.all()] == sorted(RECIPES.names())


def test_a_copy_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "classify-your-csv"
    assert RECIPES.copy(name) == Path("classify-your-csv.yaml")
    mine = tmp_path / "mine.yaml"
    assert RECIPES.copy(name, mine).read_text(encoding="utf-8") == RECIPES.named(name).text
    mine.write_text("my work")
    for target in (mine, None, tmp_path):
        with pytest.raises(OutputError, match="never overwritten"):
            RECIPES.copy(name, target)
    assert mine.read_text() == "my work"


def test_a_copy_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        RECIPES.copy("classify-your-csv", tmp_path / "no" / "folder.yaml")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(OutputError):
        RECIPES.copy("classify-your-csv", tmp_path / "link.yaml")
    assert not (tmp_path / "elsewhere.yaml").exists()
