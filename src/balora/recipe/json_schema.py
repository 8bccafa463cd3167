"""The recipe as a JSON schema, for completion and checking in editors."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from transformers import TrainingArguments

from balora.losses.settings import PAPER_DEFAULTS
from balora.recipe.keys import section_settings
from balora.recipe.schema import REGULARIZER_WORDS, Recipe
from balora.settings import Settings
from balora.training.argument_fields import argument_choices, argument_types
from balora.training.arguments import BALORA_DEFAULTS
from balora.training.renamed_arguments import NOT_IN_A_RECIPE, RENAMED


def recipe_json_schema() -> dict[str, Any]:
    """The JSON schema of a recipe file, draft 2020-12; each setting is described by its own documentation."""
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    for settings in section_settings().values():
        _add_aliases(definitions[settings.__name__], settings)
    for described in (schema, *definitions.values()):
        described["description"] = described.get("description", "").partition(">>>")[0].strip()
    for name in {name for values in PAPER_DEFAULTS.values() for name in values}:
        definitions["BALoraConfig"]["properties"][name].pop("default", None)
    properties = schema["properties"]
    words: dict[str, Any] = {"enum": list(REGULARIZER_WORDS)}
    regularizers = properties["regularizers"]
    properties["regularizers"] = {
        "anyOf": [{"$ref": regularizers["$ref"]}, words],
        "description": regularizers["description"],
    }
    properties["training"] |= {"properties": _training_properties(), "additionalProperties": False}
    _add_aliases(schema, Recipe)
    schema["required"] = ["model", "data"]
    schema["title"] = "balora recipe"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _add_aliases(schema: dict[str, Any], settings: type[Settings]) -> None:
    """Name the other spellings too; whoever uses one no longer needs the field under its own name."""
    properties = schema["properties"]
    aliases = {alias: name for alias, name in settings.all_aliases().items() if name in properties}
    for alias, name in aliases.items():
        properties[alias] = {**properties[name], "description": f"Another name for {name}.", "deprecated": True}
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in aliases.values()]


def _training_properties() -> dict[str, Any]:
    fields = {field.name: field for field in dataclasses.fields(TrainingArguments)}
    properties: dict[str, Any] = {}
    for name, hint in argument_types().items():
        if name in NOT_IN_A_RECIPE:
            continue
        choices = argument_choices(name)
        typed = {"enum": choices} if choices else _type_schema(hint)
        properties[name] = typed | {"description": str(fields[name].metadata.get("help", ""))}
        if name in BALORA_DEFAULTS:
            properties[name]["default"] = BALORA_DEFAULTS[name]
    for old, renaming in RENAMED.items():
        if renaming.name in properties and old not in properties:
            properties[old] = {"description": f"Older name of {renaming.name}.", "deprecated": True}
    return properties


def _type_schema(hint: Any) -> dict[str, Any]:
    """The schema of a type hint; anything goes where JSON has no word for it."""
    try:
        schema = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        return {}
    return {
        key: value for key, value in schema.items() if key in {"type", "anyOf", "enum"} and "$ref" not in str(value)
    }
