"""`balora recipes`: the recipes that come with balora, and the schema of all recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from balora.cli.arguments import JsonOption
from balora.cli.output import print_json
from balora.cli.shipped import copy_shipped, list_shipped, show_shipped

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
    from balora.recipe import RECIPES

    list_shipped(RECIPES, as_json)


@app.command("show")
def show_recipe(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print a shipped recipe."""
    from balora.recipe import RECIPES

    show_shipped(RECIPES, name, as_json)


@app.command("copy")
def copy(name: NameArgument, path: PathArgument = None, as_json: JsonOption = False) -> None:
    """Copy a shipped recipe as a start for your own; never over another file."""
    from balora.recipe import RECIPES

    copy_shipped(RECIPES, name, path, "balora train", as_json)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of a recipe, for completion in editors."""
    from balora.recipe import recipe_json_schema

    print_json(recipe_json_schema())
