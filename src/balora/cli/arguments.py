"""Arguments and options that several commands share, with one help text each."""

from __future__ import annotations

from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a recipe that comes with balora.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings to change, for example adapter.r=16."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show the resolved recipe, sizes, the resources it takes and the first example; train nothing.",
    ),
]
ResumeAnywayOption = Annotated[
    bool,
    typer.Option(
        "--resume-anyway",
        help="Go on also where settings, data or versions changed, as far as weights and optimizer still fit; "
        "run.json and the model card name every difference.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the newest good checkpoint of the run.")]
