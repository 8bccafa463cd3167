"""The runs of a study on a page: how each ended, links to its files, recipes, and the machines that ran them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.escaping import printable
from balora.redaction import redacted_lines
from balora.report.escaping import relative_link
from balora.report.numbers import number
from balora.report.run_files import LOGS, folder_of, recipe_text, record_of
from balora.study import Run, StudyResults

MOST_RECIPE_LETTERS = 600_000
"""Recipes beyond this are linked to, not shown, so that the page stays small."""

Link = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RunView:
    """One run in a table."""

    name: str
    cells: Sequence[str]
    links: Sequence[Link]


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed."""

    name: str
    error: str
    links: Sequence[Link]


@dataclass(frozen=True, slots=True)
class RecipeView:
    """A recipe as it was resolved."""

    name: str
    text: str


def run_table(results: StudyResults, page_folder: Path) -> tuple[list[str], list[RunView]]:
    """Header and rows: levels, seed, stage, state, first metric, time, links."""
    first = results.metrics[0] if results.metrics else None
    header = ["run", *results.axes, "seed", "stage", "state"]
    header += [first.title if first else "score", "time (s)", "files"]
    rows = []
    for run in results.runs:
        score = run.scores.get(first.key) if first else None
        shown = number(None if score is None or first is None else score * first.scale, first.digits if first else 2)
        seconds = number(run.scores.get("cost.train_s"), 1)
        levels = [run.levels.get(axis, "") for axis in results.axes]
        cells = [*levels, str(run.seed), _stage(run), run.state, shown, seconds]
        rows.append(
            RunView(run.identity[:12], [printable(cell) for cell in cells], links_of(results, run, page_folder))
        )
    return header, rows


def failures(results: StudyResults, page_folder: Path) -> list[Failure]:
    """Every run that failed, with its message."""
    found = []
    for run in results.runs:
        if run.state == "failed":
            error = printable(redacted_lines(run.error or "no message was recorded"))
            found.append(Failure(name_of(run), error, links_of(results, run, page_folder)))
    return found


def recipes(results: StudyResults) -> tuple[list[RecipeView], str]:
    """The resolved recipe of the first seed of each place, and a word on the others."""
    found: dict[tuple[str, ...], RecipeView] = {}
    room = MOST_RECIPE_LETTERS
    left_out = 0
    for run in results.runs:
        place = tuple(run.levels.get(axis, "") for axis in results.axes)
        folder = folder_of(results, run)
        if run.stage != "final" or place in found or folder is None:
            continue
        text = printable(redacted_lines(recipe_text(folder)))
        if not text:
            continue
        if len(text) > room:
            left_out += 1
            continue
        room -= len(text)
        found[place] = RecipeView(name_of(run), text)
    note = "The recipe of one seed of each; the other seeds differ from it in the seed alone."
    note += f" {left_out} more are only linked to, to keep this page small." if left_out else ""
    return list(found.values()), note


def links_of(results: StudyResults, run: Run, page_folder: Path) -> list[Link]:
    """The files of a run that exist, as links from the page."""
    folder = folder_of(results, run) or results.folder / "no such run"
    found = [(name, folder / name) for name in LOGS]
    found.append(("log", results.folder / "logs" / f"{run.identity}.txt"))
    return [(name, relative_link(path, page_folder)) for name, path in found if _is_file(path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def name_of(run: Run) -> str:
    """A run in words."""
    place = ", ".join(f"{axis} {level}" for axis, level in run.levels.items())
    tried = ", ".join(f"{key} {value}" for key, value in run.chosen.items()) if run.stage == "tune" else ""
    return printable(f"{place}, seed {run.seed}" + (f" (tuning: {tried})" if tried else ""))


def environment(results: StudyResults) -> list[tuple[str, str, str]]:
    """What the runs recorded of their machines: what, value, how many runs."""
    counts: Counter[tuple[str, str]] = Counter()
    for run in results.runs:
        folder = folder_of(results, run)
        if folder is not None and run.state == "done":
            counts.update(_facts(record_of(folder)))
    return [(what, printable(redacted_lines(value)), str(count)) for (what, value), count in sorted(counts.items())]


def _facts(record: Mapping[str, Any]) -> set[tuple[str, str]]:
    facts = {(f"package {name}", str(version)) for name, version in _mapping(record.get("versions")).items()}
    hardware = _mapping(record.get("hardware"))
    for name, value in hardware.items():
        if name == "gpus":
            names = [str(_mapping(gpu).get("name", gpu)) for gpu in value] if isinstance(value, list) else []
            facts.add(("GPUs", ", ".join(names) or "none"))
        else:
            facts.add((str(name), str(value)))
    model = _mapping(record.get("model")).get("name_or_path")
    facts |= {("base model", str(model))} if model else set()
    commit = record.get("source_commit")
    return facts | ({("commit of balora", str(commit))} if commit else set())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _stage(run: Run) -> str:
    tried = ", ".join(f"{key.rsplit('.', 1)[-1]} {value}" for key, value in run.chosen.items())
    return f"{run.stage} ({tried})" if tried else run.stage
