"""What a run is: the typed recipe, its YAML file, overrides with checked keys, and the recipes balora ships.

Names are loaded on first use, so that listing the shipped recipes does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balora.recipe.catalogue import RECIPES, Catalogue, Shipped
    from balora.recipe.dump import dump_recipe
    from balora.recipe.json_schema import recipe_json_schema
    from balora.recipe.load import load_recipe, parse_recipe, read_recipe_text
    from balora.recipe.notes import recipe_notes
    from balora.recipe.overrides import with_overrides_noted
    from balora.recipe.schema import Recipe

_MODULES = {
    "Catalogue": "catalogue",
    "RECIPES": "catalogue",
    "Recipe": "schema",
    "Shipped": "catalogue",
    "dump_recipe": "dump",
    "load_recipe": "load",
    "parse_recipe": "load",
    "read_recipe_text": "load",
    "recipe_json_schema": "json_schema",
    "recipe_notes": "notes",
    "with_overrides_noted": "overrides",
}

__all__ = [
    "RECIPES",
    "Catalogue",
    "Recipe",
    "Shipped",
    "dump_recipe",
    "load_recipe",
    "parse_recipe",
    "read_recipe_text",
    "recipe_json_schema",
    "recipe_notes",
    "with_overrides_noted",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module.

    Raises:
        AttributeError: for any other name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module 'balora.recipe' has no attribute '{name}'")
    return getattr(importlib.import_module(f"balora.recipe.{_MODULES[name]}"), name)
