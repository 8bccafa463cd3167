"""A report written beside the study: which files, and over nothing that somebody else wrote."""

from __future__ import annotations

import errno
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, get_args

from balora.artefacts import disk_trouble, write_text_atomically
from balora.errors import OutputError
from balora.regular_files import open_regular
from balora.report.figures import draw_figures
from balora.report.html import Content, as_html
from balora.report.text_tables import as_csv, as_latex, as_markdown
from balora.report.words import summary
from balora.study import StudyResults
from balora.study.cells import with_costs
from balora.study.choices import choices
from balora.study.tables import build_tables

Format = Literal["html", "md", "csv", "latex"]

FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {"html": ".html", "md": ".md", "csv": ".csv", "latex": ".tex"}

_MARK = "Written by balora study report"
_CSV_START = "table,row,column,"
_HEAD_LETTERS = 4096


@dataclass(frozen=True, slots=True)
class Report:
    """What was written, and its summary."""

    files: tuple[Path, ...]
    summary: tuple[str, ...]


def write_report(results: StudyResults, formats: Sequence[Format] = ("html",), output: Path | None = None) -> Report:
    """Write the study's report in each of the formats.

    The same results give the same files. A file that is there is replaced when it is an earlier report.

    Args:
        results: what the study found.
        formats: html is one self-contained page; md, csv and latex hold the tables.
        output: a file, for a single format, or the common name before the suffixes. Left out: `report` in the
            study's folder.

    Raises:
        OutputError: a file is there that is no report, or cannot be written.
        RecipeError: a table or a figure that the study asks for does not fit it.
    """
    files = {each: _file_for(each, formats, output or results.folder / "report") for each in dict.fromkeys(formats)}
    for each, path in files.items():
        _check_replaceable(path, each)
    results = with_costs(results)
    tables, chosen = build_tables(results), choices(results)
    sentences = summary(results, tables, chosen)
    mark = f"{_MARK} (balora {_version()})"
    for each, path in files.items():
        if each == "html":
            content = Content(tables, draw_figures(results), chosen, sentences)
            text = as_html(mark, results, content, path.parent)
        elif each == "md":
            text = as_markdown(mark, results, tables, sentences)
        elif each == "csv":
            text = as_csv(results, tables)
        else:
            text = as_latex(mark, results, tables)
        try:
            write_text_atomically(path, text)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise disk_trouble(error, path.parent, what=path.name, elsewhere="--output") or error from error
            raise OutputError.at(path, f"cannot be written ({error.strerror})", "name another with --output") from error
    return Report(tuple(files.values()), tuple(sentence.text for sentence in sentences))


def _file_for(kind: Format, formats: Sequence[Format], output: Path) -> Path:
    if len(set(formats)) == 1 and output.suffix:
        return output
    base = output.with_suffix("") if output.suffix in SUFFIXES.values() else output
    return base.with_name(base.name + SUFFIXES[kind])


def _check_replaceable(path: Path, kind: Format) -> None:
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"its folder '{path.parent}' does not exist"
        raise OutputError.at(path, what, "name a file in a folder that exists with --output")
    if not path.exists():
        return
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", errors="replace") as stream:
            head = stream.read(_HEAD_LETTERS)
    except OSError as error:
        raise OutputError.at(path, f"cannot be read ({error.strerror})", "name another with --output") from error
    if head and _MARK not in head and not (kind == "csv" and head.startswith(_CSV_START)):
        what = "is there already and is no report of a study; nothing is ever overwritten"
        raise OutputError.at(path, what, "name another file with --output")


def _version() -> str:
    try:
        return version("balora")
    except PackageNotFoundError:
        return "not installed"
