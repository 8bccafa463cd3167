"""`balora train`: a recipe becomes a run folder."""

from __future__ import annotations

from typing import Any

import typer

from balora.cli.arguments import (
    DryRunOption,
    JsonOption,
    OverridesArgument,
    QuietOption,
    RecipeArgument,
    ResumeAnywayOption,
    ResumeOption,
)
from balora.cli.output import chatter_to_stderr, print_json, print_result, quiet_libraries, two_columns
from balora.cli.processes import tells_results
from balora.errors import StoppedError


def train(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    dry_run: DryRunOption = False,
    resume: ResumeOption = False,
    resume_anyway: ResumeAnywayOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model as the recipe says, and write a run folder."""
    if dry_run and (resume or resume_anyway):
        raise typer.BadParameter("--dry-run trains nothing, so there is nothing to --resume")
    quiet_libraries(quiet)
    from balora.recipe import dump_recipe, load_recipe, read_recipe_text, with_overrides_noted

    changes = overrides or []
    with chatter_to_stderr():
        loaded = load_recipe(recipe, changes)
        from balora.run import plan
        from balora.run import train as run_training

        if dry_run:
            planned = plan(loaded)
        else:
            text = with_overrides_noted(read_recipe_text(recipe)[0], changes)
            try:
                result = run_training(
                    loaded, recipe_text=text, resume=resume, resume_anyway=resume_anyway, show_progress=not quiet
                )
            except StoppedError as stop:  # typer would make a KeyboardInterrupt an exit without a word
                raise SystemExit(stop.exit_code) from stop
    if not tells_results():
        return
    if dry_run and as_json:
        print_json(_planned(loaded, planned))
    elif dry_run:
        print_result(f"{dump_recipe(loaded)}\n{planned.text}")
    elif as_json:
        print_json(_outcome(result))
    else:
        metrics = two_columns(((name, f"{value:.6g}") for name, value in result.metrics.items()), indent="  ")
        print_result(f"{result.status} after {result.train_seconds:.1f} s: {result.folder}\n{metrics}")


def _planned(recipe: Any, planned: Any) -> dict[str, Any]:
    return {
        "recipe": recipe.model_dump(mode="json"),
        "plan": planned.text,
        "resources": planned.resources.as_dict(),
        "notes": planned.notes,
        "sample": planned.sample.as_dict(),
    }


def _outcome(result: Any) -> dict[str, Any]:
    return {
        "status": result.status,
        "folder": str(result.folder),
        "train_seconds": result.train_seconds,
        "metrics": result.metrics,
        "notes": result.notes,
    }
