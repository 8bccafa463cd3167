"""`balora recipes` lists, shows and copies."""

from __future__ import annotations

from pathlib import Path

from balora.recipe import RECIPES, recipe_json_schema


def test_the_list_names_each_with_its_title(balora) -> None:
    listed = balora("recipes", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == RECIPES.names()
    assert RECIPES.named("classify-your-csv").title in listed
    assert balora("recipes").out == listed
    assert [recipe["name"] for recipe in balora("recipes", "list", "--json").document] == RECIPES.names()


def test_show_prints_the_file_as_it_is(balora) -> None:
    assert balora("recipes", "show", "classify-your-csv").out == RECIPES.named("classify-your-csv").text
    assert balora("recipes", "show", "classify-your-csv", "--json").document["text"].startswith("# ")


def test_copy_writes_once(balora, folder: Path) -> None:
    outcome = balora("recipes", "copy", "classify-your-csv", "mine.yaml")
    assert (outcome.code, outcome.out) == (0, "mine.yaml\n")
    assert "balora train mine.yaml --dry-run" in outcome.err
    again = balora("recipes", "copy", "classify-your-csv", "mine.yaml")
    assert again.code == 2
    assert again.err == "error: mine.yaml: exists already, and is never overwritten; choose another name\n"
    assert balora("recipes", "copy", "classify-your-csv", "--json").document == {"file": "classify-your-csv.yaml"}


def test_an_unknown_recipe(balora, folder: Path) -> None:
    outcome = balora("recipes", "copy", "classify-yuor-csv")
    assert outcome.code == 2
    assert "did you mean 'classify-your-csv'?" in outcome.err
    assert [file.name for file in folder.iterdir()] == ["recipe.yaml"]


def test_the_schema_is_json(balora) -> None:
    assert balora("recipes", "schema").document == recipe_json_schema()
