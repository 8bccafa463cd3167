"""From pydantic's errors to one line per value."""

from __future__ import annotations

import pytest

from balora.errors import RecipeError
from balora.recipe.load import parse_recipe
from balora.recipe.validation import without

MODEL = "model: {name_or_path: m}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    return [str(problem) for problem in caught.value.problems]


def test_alternatives_of_a_union_make_one_problem() -> None:
    assert problems(f"{MODEL}data: {{preset: cola, labels: 5}}") == [
        "recipe.yaml:2 data.labels: is 5; expected a list or a mapping (key: value)"
    ]
    assert problems(f"{MODEL}data: {{preset: cola, columns: {{text: [1]}}}}") == [
        "recipe.yaml:2 data.columns: is {'text': [1]}; expected text or a whole number"
    ]


def test_a_list_where_one_word_decides() -> None:
    found = problems(f"{MODEL}data: {{preset: cola}}\nregularizers: {{form: [], temperature: x}}")
    assert found == [
        "recipe.yaml:3 regularizers.form: is []; expected text",
        "recipe.yaml:3 regularizers.temperature: is 'x'; expected a number",
    ]


def test_a_choice_is_answered_with_the_nearest() -> None:
    assert problems(f"{MODEL}data:\n  preset: cola\n  too_long: trunc") == [
        "recipe.yaml:4 data.too_long: is 'trunc'; choose one of truncate, truncate_prompt"
    ]


def test_checks_between_settings_are_made_although_others_are_wrong() -> None:
    found = problems(
        f"{MODEL}data: {{preset: cola, validation: 2}}\nregularizers: {{form: nlg, spectral_k: 5.5, temperature: -1}}"
    )
    assert [line.split(": ")[0].split(" ")[1] for line in found] == [
        "data.validation",
        "regularizers.form",
        "regularizers.spectral_k",
        "regularizers.temperature",
    ] or len(found) == 4


def test_taking_a_value_out_invents_no_problems() -> None:
    assert len(problems(f"{MODEL}data: {{columns: {{label: [1]}}, train: t}}")) == 1
    assert len(problems(f"task: regression\n{MODEL}data: {{preset: cola}}")) == 1
    assert len(problems("model: {name_or_path: [1]}\ndata: {preset: cola}")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            MODEL + "data: {train: t}",
            "task: is missing, and the data settings do not imply it; add task: classification",
        ),
        (MODEL + "data: {preset: sick}", "task: is missing; 'sick' can be classification or regression"),
        (MODEL + "data: {preset: colaa}", "data.preset: no preset is called 'colaa'; did you mean 'cola'?"),
        (MODEL + "task: generation", "data: this section is missing; add data.train"),
        ("data: {preset: cola}\nmodel: {dtype: auto}", "recipe.yaml:2 model.name_or_path: is missing"),
        (MODEL + "task: generation\ndata: {}", "recipe.yaml:3 data: no training data"),
    ],
)
def test_what_is_missing_is_said(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem


def test_text_that_looks_like_a_number_is_text_where_text_is_wanted() -> None:
    recipe = parse_recipe(
        "model: {name_or_path: m, revision: 0123456}\n"
        "data: {preset: cola, labels: [0, true, no], columns: {text: 3}}\n"
        "regularizers: {formulation: 2024}\n"
    )
    assert recipe.model.revision == "0123456"
    assert recipe.data.labels == ["0", "true", "no"]
    assert recipe.data.columns == {"text": 3}
    assert recipe.regularizers.formulation == "2024"


def test_without_leaves_the_original_alone() -> None:
    values = {"a": {"b": 1, "c": 2}}
    assert without(values, [("a", "b"), ("x",)]) == {"a": {"c": 2}}
    assert values == {"a": {"b": 1, "c": 2}}
    assert without(values, [("a", "x"), ()]) is None
