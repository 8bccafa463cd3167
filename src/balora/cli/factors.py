"""`balora factors`: the principal factors of a recipe's model, computed before the run."""

from __future__ import annotations

from dataclasses import asdict

from balora.cli.arguments import JsonOption, OverridesArgument, QuietOption, RecipeArgument
from balora.cli.output import chatter_to_stderr, print_json, print_message, print_result


def factors(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute PiSSA's factors weight by weight into the cache; runs with adapter.svd_cache: true start from them."""
    from balora.recipe import load_recipe

    with chatter_to_stderr():
        loaded = load_recipe(recipe, overrides or [])
        from balora.run.factors import cache_factors

        report = None if quiet else lambda layer: print_message(f"{layer.name}{' (known)' if layer.known else ''}")
        done = cache_factors(loaded, report)
    if as_json:
        print_json({**asdict(done), "folder": str(done.folder)})
    else:
        print_result(f"{done.folder}: {done.computed} layers computed, {done.known} known already")
