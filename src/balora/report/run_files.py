"""What a run folder holds for a report: log, recipe, audit, record; whatever is missing or broken is left out."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from balora.artefacts import read_record
from balora.artefacts.layout import RECIPE_RESOLVED, RUN_RECORD, STEP_METRICS
from balora.regular_files import open_regular
from balora.strict_json import parse_json, read_json
from balora.study import Run, StudyResults

AUDIT = "audit.json"
LOGS = (RECIPE_RESOLVED, STEP_METRICS, RUN_RECORD, "all_results.json", AUDIT)
"""Files that a report links to, where a run has them."""

_LONGEST_TEXT = 40_000
_LARGEST_JSON = 64 << 20


def folder_of(results: StudyResults, run: Run) -> Path | None:
    """The run's folder, where it exists; a relative one counts from the study's folder, then from here."""
    if run.folder is None:
        return None
    for place in (results.folder / run.folder, run.folder):
        if place.is_dir():
            return place
    return None


def log_series(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Name -> (step, value) of everything finite that training logged."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in _log_lines(folder / STEP_METRICS):
        step: Any = line.get("step")
        if not _is_finite(step):
            continue
        for name, value in line.items():
            if name != "step" and _is_finite(value):
                found.setdefault(name, []).append((float(step), float(value)))
    return found


def audit_of(folder: Path) -> Mapping[str, Any]:
    """The run's audit; empty where there is none that can be read."""
    path = folder / AUDIT
    try:
        if path.stat().st_size > _LARGEST_JSON:
            return {}
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def recipe_text(folder: Path) -> str:
    """The resolved recipe as it stands in the folder; empty where there is none."""
    try:
        with io.TextIOWrapper(open_regular(folder / RECIPE_RESOLVED), encoding="utf-8", errors="replace") as stream:
            return stream.read(_LONGEST_TEXT)
    except OSError:
        return ""


def record_of(folder: Path) -> Mapping[str, Any]:
    """The run's record; empty where there is none."""
    return read_record(folder)


def _log_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", errors="replace") as stream:
            for text in stream:
                try:
                    line = parse_json(text)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    yield line
    except OSError:
        return


def _is_finite(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    )
