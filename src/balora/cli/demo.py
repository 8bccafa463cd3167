"""`balora demo`: watch BA-LoRA train, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from balora.cli.arguments import JsonOption, QuietOption
from balora.cli.output import chatter_to_stderr, print_json, print_result

QuickOption = Annotated[
    bool, typer.Option("--quick", help="A smaller world with one seed: sooner done, rougher numbers.")
]
SeedsOption = Annotated[
    int, typer.Option("--seeds", min=1, help="Fine-tunes of each method; the table shows the spread.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="A new folder for the runs and the record. Left out: runs/demo.")
]


def demo(
    quick: QuickOption = False,
    seeds: SeedsOption = 3,
    out: OutOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pre-train a tiny model on a small world, fine-tune it by LoRA, PiSSA and BA-LoRA, and compare them."""
    from balora.demo import run_demo

    with chatter_to_stderr():
        result = run_demo(folder=out, quick=quick, seeds=seeds, show_progress=not quiet)
    if as_json:
        print_json(result.record)
    else:
        print_result(result.table)
