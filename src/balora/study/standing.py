"""Where a study stands, read from its folder: counts, failures, what was shared, who is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.strict_json import read_json
from balora.study.hold import holder_of, is_held
from balora.study.results import Run, RunState, StudyResults
from balora.study.store import OUTCOME
from balora.study.storing import load_results


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """How far a study is."""

    results: StudyResults
    counts: Mapping[RunState, int]
    """State -> runs; those that coincide count once."""
    failed: tuple[Run, ...]
    launcher: str | None
    """Process and machine that is at work; None: nobody."""
    shared: Mapping[str, tuple[int, int]]
    """Kind of shared work -> how often it was found, and how often it was computed."""
    seconds: float
    """Wall time of all finished runs together."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.results.name,
            "folder": str(self.results.folder),
            "counts": dict(self.counts),
            "total": sum(self.counts.values()),
            "failed": [{**_place(run), "error": run.error} for run in self.failed],
            "launcher": self.launcher,
            "shared": {kind: {"reused": reused, "computed": made} for kind, (reused, made) in self.shared.items()},
            "seconds": self.seconds,
            "notes": list(self.results.notes),
        }


def status(folder: Path | str) -> StudyStatus:
    """How far the study in a folder is; reads only.

    Raises:
        OutputError: when it is no study folder.
    """
    results = load_results(folder)
    runs: dict[Any, Run] = {}
    for run in results.runs:
        runs.setdefault(run.identity or (*run.levels.values(), run.seed), run)
    counts: Counter[RunState] = Counter(run.state for run in runs.values())
    launcher = (holder_of(results.folder) or "another process") if is_held(results.folder) else None
    shared: dict[str, tuple[int, int]] = {}
    seconds = 0.0
    for run in runs.values():
        found = _outcome(run)
        seconds += float(found.get("seconds", 0.0))
        for kind, (reused, made) in found.get("shared", {}).items():
            before = shared.get(kind, (0, 0))
            shared[kind] = (before[0] + reused, before[1] + made)
    failed = tuple(run for run in runs.values() if run.state == "failed")
    return StudyStatus(results, counts, failed, launcher, dict(sorted(shared.items())), round(seconds, 3))


def _outcome(run: Run) -> dict[str, Any]:
    if run.folder is None:
        return {}
    try:
        found: dict[str, Any] = read_json(run.folder / OUTCOME)
    except (OSError, ValueError):
        return {}
    return found


def _place(run: Run) -> dict[str, Any]:
    return {"identity": run.identity, "levels": dict(run.levels), "seed": run.seed, "stage": run.stage}
