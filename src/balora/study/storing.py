"""A study on disk: `results.json` and `runs.csv`, the same bytes for the same runs; what they cost stands beside."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.errors import OutputError
from balora.regular_files import read_regular
from balora.strict_json import LARGEST_BYTES, read_json
from balora.study.hold import is_held
from balora.study.metrics import metric_of
from balora.study.results import Metric, Run, StudyResults
from balora.study.store import RUNS

RESULTS = "results.json"
TABLE = "runs.csv"
COSTS = "costs.csv"
FORMAT = 1
_COST = "cost."


def write_results(results: StudyResults) -> None:
    """Write what is known so far; readers never see half of it."""
    folder = results.folder
    document: dict[str, Any] = {"format": FORMAT}
    document |= {key: value for key, value in _plain(results).items() if key not in ("folder", "runs")}
    document["runs"] = [_run_document(run) for run in results.runs]
    write_json_atomically(folder / RESULTS, document)
    write_text_atomically(folder / TABLE, _table(results, costs=False))
    write_text_atomically(folder / COSTS, _table(results, costs=True))


def load_results(folder: Path | str) -> StudyResults:
    """The results of a study folder, finished or not.

    Raises:
        OutputError: when it is no study folder.
    """
    folder = Path(folder)
    try:
        document = read_json(folder / RESULTS)
        costs = _read_costs(folder)
        runs = tuple(_run_of(each, folder, costs) for each in document.pop("runs"))
        metrics = tuple(_metric(each) for each in document.pop("metrics"))
        document.pop("format")
        axes = {name: tuple(labels) for name, labels in document.pop("axes").items()}
        listed: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        results = StudyResults(folder=folder, axes=axes, metrics=metrics, runs=runs, **listed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"holds no results of a study ({type(error).__name__}: {error})"
        raise OutputError.at(folder, what, "name the folder that `balora study run` wrote") from None
    if is_held(folder):
        return results
    return replace(results, runs=tuple(_at_rest(run) for run in results.runs))


def _metric(document: Mapping[str, Any]) -> Metric:
    """A metric; one that was written before there were ideals takes its direction from its key."""
    usual = metric_of(document["key"])
    if "ideal" not in document and usual.better == "closer":
        return Metric(**{**document, "better": usual.better, "ideal": usual.ideal})
    return Metric(**document)


def _at_rest(run: Run) -> Run:
    """The run where no launcher is at work: what has begun and is not over was interrupted."""
    has_begun = run.folder is not None and run.folder.is_dir()
    if run.state == "running" or (run.state == "waiting" and has_begun):
        return replace(run, state="interrupted" if has_begun else "waiting")
    return run


def _plain(results: StudyResults) -> dict[str, Any]:
    fields = {name: getattr(results, name) for name in StudyResults.__dataclass_fields__}
    return {**fields, "metrics": [asdict(metric) for metric in results.metrics]}


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "identity": run.identity,
        "levels": dict(run.levels),
        "seed": run.seed,
        "stage": run.stage,
        "state": run.state,
        "chosen": dict(run.chosen),
        "scores": {key: value for key, value in sorted(run.scores.items()) if not key.startswith(_COST)},
        "error": run.error,
    }


def _run_of(document: Mapping[str, Any], folder: Path, costs: Mapping[str, Mapping[str, float]]) -> Run:
    identity = document["identity"]
    return Run(
        identity=identity,
        levels=document["levels"],
        seed=document["seed"],
        stage=document["stage"],
        state=document["state"],
        folder=folder / RUNS / identity if identity else None,
        scores={**document["scores"], **costs.get(identity, {})},
        chosen=document["chosen"],
        error=document["error"],
    )


def _table(results: StudyResults, *, costs: bool) -> str:
    """One row for each run: its place in the study, how it ended, its scores or its costs."""
    names = sorted({key for run in results.runs for key in run.scores if key.startswith(_COST) == costs})
    chosen = list(dict.fromkeys(key for run in results.runs for key in run.chosen))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["identity", "stage", *results.axes, *chosen, "seed", "state", *names, "error"])
    for run in results.runs:
        writer.writerow(
            [
                run.identity,
                run.stage,
                *(run.levels[axis] for axis in results.axes),
                *(run.chosen.get(key, "") for key in chosen),
                run.seed,
                run.state,
                *(run.scores.get(key, "") for key in names),
                run.error or "",
            ]
        )
    return stream.getvalue()


def _read_costs(folder: Path) -> dict[str, dict[str, float]]:
    try:
        text = read_regular(folder / COSTS, LARGEST_BYTES).decode("utf-8")
    except OSError:
        return {}
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        found[row["identity"]] = {key: float(value) for key, value in row.items() if key.startswith(_COST) and value}
    return found
