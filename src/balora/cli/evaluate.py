"""`balora evaluate`: a run is scored on test sets, with errors and intervals, into result files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from balora.cli.arguments import JsonOption, QuietOption
from balora.cli.output import chatter_to_stderr, print_json, print_result, quiet_libraries

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run folder, one of its checkpoints, or any PEFT adapter. Not with --model."),
]
ChangesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="How to score, for example max_new_tokens=512 or shots=0."),
]
SuiteOption = Annotated[
    str,
    typer.Option(
        "--suite",
        metavar="NAME[,NAME...]",
        help="validation and test (the run's own data), cola, sst2, mrpc, qqp, mnli, mnli_mm, qnli, rte, wnli, stsb, "
        "ood (outside the task's domain), bias (or one of crows_pairs, stereoset, winobias, winogender, bbq, bold), "
        "gsm8k, math500, svamp, humaneval, mbpp, ... and gsm8k_paper, ...",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="A file, or a folder with the suites' files. Left out: the hub."),
]
BaseOption = Annotated[
    bool, typer.Option("--base", help="Score the untouched base the same way, and the difference on the same items.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N items of each suite.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="A plain model to score; with RUN the base in place of the one it names.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of the result files. Left out: RUN/evaluations, or evaluations.")
]


def evaluate(
    run: RunArgument = None,
    changes: ChangesArgument = None,
    suite: SuiteOption = "validation",
    data: DataOption = None,
    base: BaseOption = False,
    limit: LimitOption = None,
    model: ModelOption = None,
    out: OutOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score a run on test sets, with standard errors and 95 % intervals, and write result files."""
    quiet_libraries(quiet)
    if run is not None and "=" in run and not Path(run).exists():
        changes, run = [run, *(changes or [])], None
    from balora.run import evaluate as run_evaluation
    from balora.run.evaluation_settings import scoring_settings

    with chatter_to_stderr():
        results = run_evaluation(
            run,
            [name.strip() for name in suite.split(",") if name.strip()],
            data=data,
            base=base,
            limit=limit,
            model=model,
            out=out,
            settings=scoring_settings(changes or []),
            show_progress=not quiet,
        )
    if as_json:
        print_json([{**result.document, "file": str(result.path), "identical": result.identical} for result in results])
    else:
        print_result("\n".join(_lines(results)))


def _lines(results: Sequence[Any]) -> list[str]:
    lines = []
    for result in results:
        found = result.document.get("bias", {}).get("benchmarks", {}).get(result.suite)
        for name, score in result.scores.items():
            if found is not None and name != found["headline"]:
                continue
            lines.append(f"{result.suite}  {name}  {score}")
            if name in result.base:
                lines.append(f"  base        {result.base[name]}")
                lines.append(f"  difference  {result.difference[name]}")
        if found is not None:
            lines.append(f"  {found['reading']}")
            lines.append(f"  ({len(result.scores)} numbers in the file, each with its interval)")
        lines += [f"  {kind} drop from its domain  {each}" for kind, each in result.drop.items()]
        lines.append(f"  {'the same as' if result.identical else 'written to'} {result.path}")
    return lines
