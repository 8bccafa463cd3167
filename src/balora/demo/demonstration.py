"""The demonstration from start to end: the shipped study `demo` in a folder of its own, its report, and its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.demo.table import plain_table
from balora.demo.words import LEGEND, RATE, caution, chosen_rates, in_words, introduction, shared_rate, wrapped
from balora.errors import InputError, OutputError, StoppedError
from balora.escaping import visible
from balora.paths import user_path
from balora.report import Report, write_report
from balora.streams import stderr_console
from balora.study import Run, StudyResults, load_study, run_study
from balora.study.tables import build_tables

STUDY = "demo"
"""The shipped study that is carried out."""
QUICK = "quick"
"""Its profile for the impatient."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demonstration found."""

    text: str
    """Plain text: the table, what it shows in words, and where the report lies."""
    record: dict[str, Any]
    """Every run with its scores, ready for JSON."""
    results: StudyResults
    """The study's results; its folder holds `report.html` and `report.md`."""


def run_demo(
    *, folder: Path | None = None, quick: bool = False, seeds: int | None = None, show_progress: bool = True
) -> DemoResult:
    """Pre-train a tiny model on a small flawed world, fine-tune it by three methods, and compare what they did.

    Carries out the shipped study `demo` and writes its report beside it. Each method chooses its learning rate on a
    validation split; what is measured is the adapter that was saved, read back onto the unchanged model. The model
    comes from the cache when it was made before; everything else is written into the folder.

    Args:
        folder: where to write; must not exist yet, or be empty. Left out: the first free one of `runs/demo`,
            `runs/demo-2`, ...
        quick: a smaller world with one seed and one learning rate.
        seeds: how many times each method is fine-tuned at its learning rate. Left out: 3, or 1 of `quick`.
        show_progress: a line on stderr for each fine-tune.

    Returns:
        The text, the record and the results; failed runs included.

    Raises:
        InputError: seeds below 1, or a folder that holds something or cannot be written; nothing was written then.
        StoppedError: Ctrl-C or SIGTERM; the message says how to go on.
    """
    if seeds is not None and seeds < 1:
        raise InputError.at("seeds", f"is {seeds}; expected 1 or more", "leave it out for 3")
    where = free_folder(Path("runs") / STUDY) if folder is None else user_path(folder)
    study = load_study(STUDY, QUICK if quick else None, [] if seeds is None else [f"seeds={seeds}"])
    make_folder(where)
    introduced = introduction(study)
    if show_progress:
        console = stderr_console()
        for line in [*introduced, "The model is pre-trained first, unless the cache has it.", ""]:
            console.print(visible(line), highlight=False, markup=False, soft_wrap=True)
    try:
        results = run_study(study, folder=where, show_progress=show_progress)
    except StoppedError as stop:
        options = f" {study.options}" if study.options else ""
        again = f"balora study run {STUDY}{options} --folder {where}"
        raise StoppedError(stop.number, f"stopped; `{again}` goes on where it was") from stop
    report = write_report(results, ("html", "md"))
    rates = chosen_rates(results) if results.tuned else dict.fromkeys(results.axes["method"], shared_rate(study))
    text = "\n".join([*introduced, "", *as_lines(results, report, rates)])
    shown = f"Report, with curves, tests and every run: {where / 'report.html'}"
    return DemoResult(f"{text}\n\n{shown}", as_record(results, report, rates), results)


def as_lines(results: StudyResults, report: Report, rates: Mapping[str, float]) -> list[str]:
    """The table, what it shows, what failed, and what its columns are; `rates` are the methods' learning rates."""
    (table,) = build_tables(results)
    failed = [run for run in results.runs if run.state == "failed"]
    sentences = [*sentences_of(results, report), *(f"failed: {_place(run)}: {run.error}" for run in failed)]
    prose = [line for sentence in sentences for line in wrapped(f"- {sentence}")]
    return [plain_table(results, table, rates), "", *prose, "", *LEGEND]


def sentences_of(results: StudyResults, report: Report) -> list[str]:
    """What the report says in short, and how BA-LoRA stands to each rival."""
    return [*report.summary, *in_words(results), caution(len(results.seeds))]


def as_record(results: StudyResults, report: Report, rates: Mapping[str, float]) -> dict[str, Any]:
    """Every run with its scores; `rates` are the methods' learning rates."""
    return {
        "folder": str(results.folder),
        "report": [str(file) for file in report.files],
        "seeds": list(results.seeds),
        "learning_rates": dict(rates),
        "chosen_learning_rates": chosen_rates(results),
        "summary": sentences_of(results, report),
        "runs": [_run_record(run, rates) for run in results.runs],
    }


def _run_record(run: Run, rates: Mapping[str, float]) -> Mapping[str, Any]:
    return {
        "method": run.levels["method"],
        "seed": run.seed,
        "stage": run.stage,
        "state": run.state,
        "learning_rate": run.chosen.get(RATE, rates.get(run.levels["method"])),
        "folder": None if run.folder is None else str(run.folder),
        "scores": dict(run.scores),
        "error": run.error,
    }


def _place(run: Run) -> str:
    return f"{run.levels['method']}, seed {run.seed} ({run.stage})"


def free_folder(wanted: Path) -> Path:
    """The first of `wanted`, `wanted`-2, `wanted`-3, ... that does not exist."""
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def make_folder(folder: Path) -> None:
    """Make the demonstration's folder.

    Raises:
        OutputError: when it holds something already, or cannot be made.
    """
    fix = "name a folder that does not exist yet"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError.at(folder, "already holds something, and nothing is ever overwritten", fix)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.at(folder, f"cannot be made ({error.strerror})", fix) from None
