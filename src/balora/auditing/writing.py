"""Where a report goes: a new file beside what was audited, never over an earlier one, and its figures beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from balora.artefacts import disk_in_words, write_json_atomically, write_text_atomically
from balora.auditing.report import AuditReport
from balora.errors import OutputError
from balora.evaluation.results import check_writable
from balora.figures import as_svg

AUDIT = "audit"
DOTS_PER_INCH = 160


def free_name(folder: Path) -> str:
    """`audit`, or `audit-2`, `audit-3`, ... where files of that name are there already."""
    number = 1
    while True:
        name = AUDIT if number == 1 else f"{AUDIT}-{number}"
        if not (folder / f"{name}.json").exists() and not (folder / f"{name}-figures").exists():
            return name
        number += 1


def output_folder(subject_folder: Path | None, output: Path | None) -> Path:
    """Where a report will go, checked to be writable before anything is measured.

    Raises:
        OutputError: it cannot be written, or nothing says where.
    """
    folder = output or subject_folder
    if folder is None:
        raise OutputError.at("--output", "a model on the hub has no folder for its report", "give --output FOLDER")
    check_writable(folder)
    return folder


def write_report(report: AuditReport, figures: Mapping[str, Figure], folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """Write the report and its figures (PNG and SVG); gives their paths.

    Raises:
        ResourceError: the disk is full or read-only, or a file may not become so large; nothing is left behind.
    """
    with disk_in_words(folder, "the report", elsewhere="--output"):
        folder.mkdir(parents=True, exist_ok=True)
        name = free_name(folder)
        try:
            return _written(report, figures, folder, name)
        except BaseException:
            shutil.rmtree(folder / f"{name}-figures", ignore_errors=True)
            raise


def _written(
    report: AuditReport, figures: Mapping[str, Figure], folder: Path, name: str
) -> tuple[Path, tuple[Path, ...]]:
    beside = folder / f"{name}-figures"
    written = []
    if figures:
        beside.mkdir()
    for title, figure in figures.items():
        vector, image = beside / f"{title}.svg", beside / f"{title}.png"
        write_text_atomically(vector, as_svg(figure))
        figure.savefig(image, dpi=DOTS_PER_INCH, metadata={"Software": None})
        written += [vector, image]
    path = folder / f"{name}.json"
    write_json_atomically(path, report.as_json())
    return path, tuple(written)
