"""`balora validate`: everything that can be known to be wrong without loading model weights."""

from __future__ import annotations

from balora.cli.arguments import JsonOption, OverridesArgument, RecipeArgument
from balora.cli.output import chatter_to_stderr, print_json, print_notes, print_result


def validate(recipe: RecipeArgument, overrides: OverridesArgument = None, as_json: JsonOption = False) -> None:
    """Check a recipe, its data and its model files, and show the first row as it is trained on; nothing is written."""
    from balora.recipe import load_recipe

    with chatter_to_stderr():
        loaded = load_recipe(recipe, overrides or [])
        from balora.run import examine

        found = examine(loaded)
    if as_json:
        print_json({"recipe": loaded.model_dump(mode="json"), "notes": found.notes, "sample": found.sample.as_dict()})
    else:
        print_notes(found.notes)
        shown = "\n".join(["first training example:", *found.sample.lines()])
        print_result(f"{recipe}: nothing wrong found\n\n{shown}")
