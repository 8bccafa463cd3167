"""`balora validate` says what is worth knowing."""

from __future__ import annotations


def test_a_good_recipe(balora, fake_run) -> None:
    outcome = balora("validate", "recipe.yaml")
    assert outcome.code == 0
    assert outcome.out == "recipe.yaml: nothing wrong found\n\nfirst training example:\ntrain row 0: 2 tokens\n"
    assert "note: data.train: 3 rows are cut" in outcome.err


def test_as_json(balora, fake_run) -> None:
    document = balora("validate", "recipe.yaml", "--json").document
    assert document["notes"] == ["data.train: 3 rows are cut"]
    assert document["sample"] == {"tokens": 2}
    assert document["recipe"]["task"] == "classification"
