"""`balora study`: many runs from one file; run them, look how far they are, list the studies that come along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from balora.cli import study_report
from balora.cli.arguments import JsonOption, QuietOption
from balora.cli.output import chatter_to_stderr, print_json, print_result, quiet_libraries
from balora.cli.shipped import copy_shipped, list_shipped, show_shipped
from balora.errors import IncompleteError, StoppedError

app = typer.Typer(help="Compare methods over tasks, ranks and seeds: one file, many runs.", invoke_without_command=True)
app.command("report")(study_report.report)

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or the name of a study that comes with balora.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, as in a profile: base.data.train=my.csv seeds=1 tune=null"),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a study.")]
EngineOption = Annotated[str, typer.Option("--engine", help="local: processes of this machine; ray: a Ray cluster.")]
JobsOption = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Runs at once. Left out: what fits.")]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Where it is written. Left out: studies/NAME.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="A profile of the study, for example mini.")]
AddressOption = Annotated[str | None, typer.Option("--address", help="Ray: the cluster. Left out: a local one.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="URL (fsspec) that finished runs are copied to, and fetched from.")
]
KeepFailedOption = Annotated[bool, typer.Option("--keep-failed", help="Do not try failed runs again.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="List the runs and what is done; run and write nothing.")]
NameArgument = Annotated[str, typer.Argument(help="Name of a shipped study.")]
PathArgument = Annotated[Path | None, typer.Argument(help="A new file, or a folder. Left out: NAME.yaml here.")]


@app.callback()
def _help_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print_result(context.get_help())


@app.command("run")
def run(
    study: StudyArgument,
    overrides: OverridesArgument = None,
    engine: EngineOption = "local",
    jobs: JobsOption = None,
    folder: FolderOption = None,
    profile: ProfileOption = None,
    address: AddressOption = None,
    store: StoreOption = None,
    keep_failed: KeepFailedOption = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Carry out a study, or what of it is not done yet; the same command goes on after an interruption."""
    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"--engine is '{engine}'; choose local or ray")
    quiet_libraries(quiet=True)
    from balora.study import run_study, status
    from balora.study.preview import preview_study

    with chatter_to_stderr():
        if dry_run:
            preview = preview_study(study, folder=folder, profile=profile, overrides=overrides or ())
        else:
            try:
                results = run_study(
                    study,
                    folder=folder,
                    engine="ray" if engine == "ray" else "local",
                    jobs=jobs,
                    profile=profile,
                    overrides=overrides or (),
                    address=address,
                    store=store,
                    keep_failed=keep_failed,
                    show_progress=not quiet,
                )
            except StoppedError as stop:  # typer would make a KeyboardInterrupt an exit without a word
                raise SystemExit(stop.exit_code) from stop
    if dry_run:
        print_json(preview.as_json()) if as_json else print_result("\n".join(preview.lines()))
        return
    standing = status(results.folder)
    print_json(standing.as_json()) if as_json else print_result("\n".join(_standing_lines(standing)))
    if standing.failed:
        failed = f"{len(standing.failed)} of {sum(standing.counts.values())} runs failed"
        raise IncompleteError(
            f"{failed}; their logs lie in {results.folder / 'logs'}, the same command tries them again"
        )


@app.command("status")
def show_status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Show how far a study is, what failed, and what was shared."""
    from balora.study import status

    found = status(folder)
    print_json(found.as_json()) if as_json else print_result("\n".join(_standing_lines(found)))


@app.command("list")
def list_studies(as_json: JsonOption = False) -> None:
    """List the shipped studies."""
    from balora.study import STUDIES

    list_shipped(STUDIES, as_json)


@app.command("show")
def show_study(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print a shipped study."""
    from balora.study import STUDIES

    show_shipped(STUDIES, name, as_json)


@app.command("copy")
def copy(name: NameArgument, path: PathArgument = None, as_json: JsonOption = False) -> None:
    """Copy a shipped study as a start for your own; never over another file."""
    from balora.study import STUDIES

    copy_shipped(STUDIES, name, path, "balora study run", as_json)


def _standing_lines(standing: Any) -> Iterator[str]:
    results = standing.results
    states = ", ".join(f"{count} {state}" for state, count in standing.counts.items())
    yield f"{results.name}: {states} ({sum(standing.counts.values())} runs) in {results.folder}"
    if standing.launcher is not None:
        yield f"at work: {standing.launcher}"
    for kind, (reused, made) in standing.shared.items():
        yield f"shared {kind}: computed {made} times, reused {reused} times"
    for run in standing.failed:
        yield f"failed: {', '.join(run.levels.values())}, seed {run.seed}: {run.error}"
    for note in results.notes:
        yield f"note: {note}"
