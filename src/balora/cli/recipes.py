"""`balora recipes`: the recipes that come with balora, and the schema of all recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from balora.cli.arguments import JsonOption
from balora.cli.output import print_json, print_message, print_result, two_columns

app = typer.Typer(help="List, show or copy the recipes that come with balora.", invoke_without_command=True)

NameArgument = Annotated[str, typer.Argument(help="Name of a shipped recipe.")]
PathArgument = Annotated[Path | None, typer.Argument(help="A new file, or a folder. Left out: NAME.yaml here.")]


@app.callback()
def _list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_recipes()


@app.command("list")
def list_recipes(as_json: JsonOption = False) -> None:
    """List the shipped recipes."""
    from balora.recipe.catalogue import shipped_recipes

    recipes = shipped_recipes()
    if as_json:
        print_json([{"name": recipe.name, "title": recipe.title} for recipe in recipes])
    else:
        print_result(two_columns((recipe.name, recipe.title) for recipe in recipes))


@app.command("show")
def show_recipe(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print a shipped recipe."""
    from balora.recipe.catalogue import shipped_recipe

    recipe = shipped_recipe(name)
    if as_json:
        print_json({"name": recipe.name, "title": recipe.title, "text": recipe.text})
    else:
        print_result(recipe.text)


@app.command("copy")
def copy(name: NameArgument, path: PathArgument = None, as_json: JsonOption = False) -> None:
    """Copy a shipped recipe as a start for your own; never over another file."""
    from balora.recipe.catalogue import copy_recipe

    file = copy_recipe(name, path)
    if as_json:
        print_json({"file": str(file)})
    else:
        print_result(str(file))
        print_message(f"next: edit it, then balora train {file} --dry-run")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of a recipe, for completion in editors."""
    from balora.recipe import recipe_json_schema

    print_json(recipe_json_schema())
