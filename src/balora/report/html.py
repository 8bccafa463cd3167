"""The report as one HTML file: everything inside, nothing fetched, no script but its own."""

from __future__ import annotations

import base64
import hashlib
import io
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from balora.escaping import printable
from balora.redaction import redacted_lines
from balora.regular_files import open_regular
from balora.report.drawn import Drawn
from balora.report.runs import environment, failures, recipes, run_table
from balora.report.sentences import Sentence
from balora.report.views import view
from balora.study import StudyResults
from balora.study.choices import Choice
from balora.study.tables import Table

PAGE = Path(__file__).parent / "page"
CHOICE_HEADER = ("for", "setting", "tried", "chosen", "remark")

_GROUPS = (
    ("trade-offs", "Trade-offs", {"front"}),
    ("figures", "Scores in figures", {"dots", "bars", "lines", "heatmap"}),
    ("cost", "Cost", {"cost"}),
    ("training", "Training", {"curves"}),
    ("representations", "Representations", {"spectrum", "embedding"}),
)
_LONGEST_STUDY = 60_000
_PAIRED = {"trade-offs", "figures", "representations"}
_SHOWN_OF_A_GROUP = 4
_SHOWN_CURVES = 1


@dataclass(frozen=True, slots=True)
class Content:
    """What a report is made of, apart from the run folders."""

    tables: Sequence[Table]
    figures: Sequence[Drawn]
    choices: Sequence[Choice]
    sentences: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """Figures under one headline; the last ones folded away."""

    anchor: str
    name: str
    shown: Sequence[Drawn]
    folded: Sequence[Drawn]
    is_paired: bool
    """Whether two stand side by side where there is room."""


def as_html(mark: str, results: StudyResults, content: Content, page_folder: Path) -> str:
    """The page, for a file in that folder: links to run folders are relative to it."""
    style, script = _own_text("style.css"), _own_text("script.js")
    run_header, runs = run_table(results, page_folder)
    found_recipes, recipe_note = recipes(results)
    groups = list(_grouped(content.figures))
    failed = failures(results, page_folder)
    values: dict[str, Any] = {
        "mark": mark,
        "title": printable(results.title or results.name),
        "description": printable(results.description),
        "facts": _facts(results),
        "style": Markup(style),
        "style_hash": _digest(style),
        "script": Markup(script),
        "script_hash": _digest(script),
        "sections": _sections(results, content, groups, has_failures=bool(failed)),
        "summary": content.sentences,
        "tables": [view(results, table) for table in content.tables],
        "figure_groups": groups,
        "choices": [_choice_row(choice) for choice in content.choices],
        "choice_header": CHOICE_HEADER,
        "choice_score": next((choice.score for choice in content.choices), ""),
        "failures": failed,
        "run_header": run_header,
        "runs": runs,
        "recipes": found_recipes,
        "recipe_note": recipe_note,
        "environment": environment(results),
        "commands": _commands(results),
        "study_text": _study_text(results),
        "notes": results.notes,
    }
    return _environment().get_template("report.html.j2").render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
    )


def _own_text(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a Content-Security-Policy names a script or style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _facts(results: StudyResults) -> str:
    axes = ", ".join(f"{len(levels)} × {axis}" for axis, levels in results.axes.items() if len(levels) > 1)
    seeds = f"{len(results.seeds)} seed{'s' if len(results.seeds) != 1 else ''}"
    baseline = f", baseline {results.baseline}" if results.baseline else ""
    return f"Study {results.name}: {f'{axes}, ' if axes else ''}{seeds}{baseline}."


def _sections(
    results: StudyResults, content: Content, groups: Sequence[FigureGroup], *, has_failures: bool
) -> list[tuple[str, str]]:
    found = [("summary", "In short")]
    found += [("results", "Results")] if content.tables else []
    found += [(group.anchor, group.name) for group in groups]
    found += [("tuning", "Tuning")] if content.choices else []
    found += [("failed", "Failed runs")] if has_failures else []
    found += [("runs", "Runs")] if results.runs else []
    return [*found, ("environment", "Environment"), ("reproduce", "Do it again"), ("reading", "How to read")]


def _grouped(figures: Sequence[Drawn]) -> list[FigureGroup]:
    groups = []
    for anchor, name, kinds in _GROUPS:
        found = [figure for figure in figures if figure.kind in kinds]
        most = _SHOWN_CURVES if anchor == "training" else _SHOWN_OF_A_GROUP
        if found:
            groups.append(FigureGroup(anchor, name, found[:most], found[most:], len(found) > 1 and anchor in _PAIRED))
    return groups


def _choice_row(choice: Choice) -> list[str]:
    tried = ", ".join(f"{value}" + ("" if score is None else f" ({score:.4g})") for value, score in choice.tried)
    remark = "at the edge of the sweep" if choice.at_edge else ""
    return [", ".join(choice.levels.values()), choice.key, tried or "not recorded", str(choice.value), remark]


def _commands(results: StudyResults) -> str:
    folder = shlex.quote(printable(results.folder.name) or "FOLDER")
    wanted = printable(f" {redacted_lines(results.options)}") if results.options else ""
    return (
        "# in the folder above this one\n"
        f"balora study run {folder}/study.yaml --folder {folder}{wanted}   # runs what is missing\n"
        f"balora study report {folder}   # writes this page anew\n\n"
        "# one run by itself, in a folder of its own\n"
        f"balora train {folder}/runs/RUN/recipe.resolved.yaml output.dir=NEW"
    )


def _study_text(results: StudyResults) -> str:
    try:
        with io.TextIOWrapper(
            open_regular(results.folder / "study.yaml"), encoding="utf-8", errors="replace"
        ) as stream:
            return redacted_lines(stream.read(_LONGEST_STUDY))
    except OSError:
        return ""
