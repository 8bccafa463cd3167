"""Overrides are laid over the file, checked alike, and named in every message."""

from __future__ import annotations

import pytest

from balora.errors import RecipeError
from balora.recipe.load import parse_recipe
from balora.recipe.overrides import with_overrides_noted

TEXT = """
task: classification
model: {name_or_path: m}
data: {train: t.csv}
adapter: {rank: 8}
regularizers: none
"""


def problems(*overrides: str, text: str = TEXT) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


def test_an_override_replaces_the_file_whatever_the_key_is_called() -> None:
    recipe = parse_recipe(TEXT, overrides=["adapter.lora_r=16", "model.name=n", "task=generation"])
    assert (recipe.adapter.r, recipe.model.name_or_path, recipe.task) == (16, "n", "generation")
    assert parse_recipe(TEXT, overrides=["adapter.r=16", "adapter.rank=32"]).adapter.r == 32


def test_sections_and_mappings_are_made_where_they_are_missing() -> None:
    recipe = parse_recipe(
        TEXT,
        overrides=[
            "training.learning_rate=5e-5",
            "data.columns.text=3",
            "data.columns.label=1",
            "training.lr_scheduler_kwargs.num_cycles=2",
            "adapter.target_modules=[q_proj, v_proj]",
        ],
    )
    given = {"learning_rate": 5e-5, "lr_scheduler_kwargs": {"num_cycles": 2}}
    assert recipe.training == recipe.training | given
    assert recipe.data.columns == {"text": 3, "label": 1}
    assert recipe.adapter.target_modules == ["q_proj", "v_proj"]


def test_a_term_can_be_switched_on_again_after_none() -> None:
    regularizers = parse_recipe(TEXT, overrides=["regularizers.consistency_weight=0.5"]).regularizers
    assert (regularizers.consistency_weight, regularizers.spectral_weight) == (0.5, 0)
    assert parse_recipe(TEXT, overrides=["regularizers=paper"]).regularizers.consistency_weight == 0.15


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.template={instruction}", "{instruction}"),
        ("data.template={question} ->", "{question} ->"),
        ("data.template=Q: {q}", "Q: {q}"),
        ("data.template=", None),
    ],
)
def test_text_with_braces_stays_text(override: str, value: str | None) -> None:
    if value is None:
        assert "is null; expected text" in problems(override)[0]
    else:
        assert parse_recipe(TEXT, overrides=[override]).data.template == value


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("adapter.rr=8", "unknown key (value 8); did you mean 'r'?"),
        ("r=8", "it belongs to section adapter: write adapter.r"),
        ("adapter.learning_rate=1", "it belongs to section training"),
        ("adapter.r", "is not of the form section.key=value"),
        ("=3", "is not of the form section.key=value"),
        ("adapter.r=[1", "not valid YAML"),
        ("adapter.r=!!python/name:os.system", "is not allowed"),
        ("adapter.r=eight", "is 'eight'; expected a whole number"),
        ("adapter.r.x=1", "adapter.r is 8, which has no settings below it"),
        ("task.x=1", "'task' has no settings below it"),
        ("adapter=pissa", "expected settings below it; for example adapter.method"),
        ("model=foo", "expected settings below it; for example model.name_or_path"),
        ("regularizers=papr", "did you mean 'paper'"),
        ("regularizers=3", "write paper or none"),
        ("training.bf16=perhaps", "expected true or false"),
    ],
)
def test_a_wrong_override_is_named(override: str, said: str) -> None:
    (problem,) = problems(override)
    assert problem.startswith(f"override '{override}': ")
    assert said in problem


def test_problems_of_the_file_come_before_those_of_overrides() -> None:
    found = problems("adapter.rr=8", "adapter.q=8", text=TEXT.replace("rank: 8", "rnk: 8"))
    assert [problem.split(":")[0] for problem in found] == [
        "recipe.yaml",
        "override 'adapter.rr=8'",
        "override 'adapter.q=8'",
    ]


@pytest.mark.parametrize(
    "override",
    ["training.hub_token=abc", "training.hub_token =abc", "model.revision=hf_" + "a" * 30, "hf_" + "a" * 30 + "=1"],
)
def test_a_secret_is_refused_and_not_repeated(override: str) -> None:
    (problem,) = problems(override)
    assert "environment" in problem
    assert "abc" not in problem
    assert "aaaa" not in problem


def test_the_recipe_as_given_keeps_the_overrides_as_comments() -> None:
    noted = with_overrides_noted(TEXT, ["adapter.r=4", "data.template=a\nb"])
    assert parse_recipe(noted) == parse_recipe(TEXT)
    assert "# changed on the command line: adapter.r=4" in noted
    assert "# changed on the command line: data.template=a b" in noted
    assert with_overrides_noted(TEXT, []) == TEXT
