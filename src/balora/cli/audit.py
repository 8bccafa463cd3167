"""`balora audit`: what a fine-tune inherited from its base and what it changed, as one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from balora.cli.arguments import JsonOption, QuietOption
from balora.cli.output import chatter_to_stderr, print_json, print_notes, print_result, quiet_libraries

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_ADAPTER", help="A run folder, one of its checkpoints, any PEFT adapter, or a model."
    ),
]
ChangesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="How to measure, for example perplexity=10 or minority=neutral."),
]
BaseOption = Annotated[
    str | None, typer.Option("--base", metavar="MODEL", help="The base. Left out: the one that run or adapter names.")
]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE", help="Rows of the task; may be repeated. Left out: the run's validation."),
]
GeneralOption = Annotated[
    str | None,
    typer.Option("--general-text", metavar="FILE", help="Held-out general text, on which drift is measured."),
]
OtherOption = Annotated[
    str | None,
    typer.Option("--other-task", metavar="NAME[,NAME...]", help="Suites not trained on, by the names of evaluate."),
]
TaskDataOption = Annotated[
    str | None,
    typer.Option("--task-data", metavar="PATH", help="The folder with those suites' files. Left out: the hub."),
]
BiasOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bias",
        metavar="NAME=PATH",
        help="A bias benchmark and its files, may be repeated:"
        " crows_pairs, stereoset, winobias, winogender, bbq, bold.",
    ),
]
OnlyOption = Annotated[
    str | None,
    typer.Option("--only", metavar="NAME[,NAME...]", help="drift, collapse, noise, bias, calibration."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="Folder of the report. Left out: that of the run or adapter.")
]
RowsOption = Annotated[int | None, typer.Option("--max-rows", metavar="N", help="Look at so many rows; 500 left out.")]


def audit(
    run: RunArgument,
    changes: ChangesArgument = None,
    base: BaseOption = None,
    data: DataOption = None,
    general_text: GeneralOption = None,
    other_task: OtherOption = None,
    task_data: TaskDataOption = None,
    bias: BiasOption = None,
    only: OnlyOption = None,
    output: OutputOption = None,
    max_rows: RowsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure drift, collapse, noise, bias and calibration of a fine-tune against its base, and write one report."""
    quiet_libraries(quiet)
    from balora.auditing import audit as run_audit
    from balora.auditing.settings_words import audit_settings
    from balora.cli.audit_table import printed

    with chatter_to_stderr():
        report = run_audit(
            run,
            base=base,
            data=data or [],
            general_text=general_text,
            other_tasks=_names(other_task),
            task_data=task_data,
            only=_names(only),
            output=output,
            settings=audit_settings(changes or [], max_rows=max_rows, bias=bias or []),
            show_progress=not quiet,
        )
    if as_json:
        print_json({**report.as_json(), "file": str(report.path), "figures": [str(each) for each in report.figures]})
    else:
        print_result(printed(report), styled=True)
        if not quiet:
            print_notes(note for part in report.parts.values() for note in part.notes)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
