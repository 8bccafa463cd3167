"""The JSON schema knows every key that a recipe accepts."""

from __future__ import annotations

from balora.recipe.json_schema import recipe_json_schema
from balora.recipe.keys import known_keys, section_settings, sections
from balora.recipe.schema import Recipe
from balora.training.renamed_arguments import DROPPED, NOT_IN_A_RECIPE, UNUSED_FLAGS


def test_every_setting_is_there_and_described() -> None:
    schema = recipe_json_schema()
    for section, settings in section_settings().items():
        properties = schema["$defs"][settings.__name__]["properties"]
        assert set(properties) == set(known_keys(section))
        assert all(properties[name]["description"] for name in settings.model_fields)
    assert set(schema["properties"]) == set(known_keys(""))
    assert all(schema["properties"][name]["description"] for name in Recipe.model_fields)
    assert [name for name in schema["properties"] if name in sections()] == sections()


def test_training_holds_the_arguments_of_transformers() -> None:
    training = recipe_json_schema()["properties"]["training"]
    expected = set(known_keys("training")) - set(DROPPED)
    assert expected - set(UNUSED_FLAGS) <= set(training["properties"])
    assert not set(NOT_IN_A_RECIPE) & set(training["properties"])
    assert training["additionalProperties"] is False
    assert training["properties"]["learning_rate"]["type"] == "number"
    assert "cosine" in training["properties"]["lr_scheduler_type"]["enum"]
    assert training["properties"]["warmup_ratio"]["deprecated"] is True
    assert training["properties"]["logging_steps"]["default"] == 10


def test_only_what_is_needed_is_required() -> None:
    schema = recipe_json_schema()
    assert schema["required"] == ["model", "data"]
    assert schema["$defs"]["ModelSettings"].get("required", []) == []
    assert {"enum": ["paper", "none"]} in schema["properties"]["regularizers"]["anyOf"]


def test_no_default_is_shown_that_depends_on_the_task() -> None:
    properties = recipe_json_schema()["$defs"]["BALoraConfig"]["properties"]
    assert "default" not in properties["consistency_weight"]
    assert "default" in properties["center"]
    assert ">>>" not in str(recipe_json_schema())
