"""The assembly of an audit: subject and base, rows, one pass of both models, chapters, report, files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import transformers

from balora.auditing.bias import ask, bias_part
from balora.auditing.calibration import calibration_part
from balora.auditing.collapse import collapse_of_heads, collapse_of_texts, recalls
from balora.auditing.drift import drift_part
from balora.auditing.evidence import Evidence, gather
from balora.auditing.identity import check_distance, check_start
from balora.auditing.noise import noise_part
from balora.auditing.other_tasks import score_other_tasks
from balora.auditing.pair import HEADS_IN_WORDS, Pair, load_pair
from balora.auditing.pictures import figures_of
from balora.auditing.report import AuditReport
from balora.auditing.request import Request, check_request
from balora.auditing.sampled_texts import sample_texts
from balora.auditing.scores import Part
from balora.auditing.settings import AuditSettings
from balora.auditing.settings_words import checked_settings
from balora.auditing.steps import embedding_of
from balora.auditing.weights import module_changes
from balora.auditing.writing import output_folder, write_report
from balora.evaluation.results import run_id, versions
from balora.run.evaluation_progress import EvaluationProgress


def audit(
    run: str | Path,
    *,
    base: str | None = None,
    data: Sequence[str | Path] | str | Path = (),
    general_text: str | Path | None = None,
    other_tasks: Sequence[str] = (),
    task_data: str | Path | None = None,
    only: Sequence[str] = (),
    output: str | Path | None = None,
    settings: AuditSettings | Mapping[str, Any] | None = None,
    show_progress: bool = True,
) -> AuditReport:
    """Measure what a fine-tune inherited from its base and what it changed, and write one report.

    Args:
        run: a run folder, one of its checkpoints, a PEFT adapter, or a fine-tuned model.
        base: hub id or folder of the base; a run or an adapter names its own.
        data: files of labelled rows or answers; left out, the run's validation split.
        general_text: a file of held-out text that the task is no part of; left out, drift is measured on task rows.
        other_tasks: suites that were not trained on, by the names of `evaluate`.
        task_data: their file, or the folder that holds them; left out, the hub.
        only: chapters among drift, collapse, noise, bias, calibration; left out, all.
        output: folder of the report; left out, that of the run.
        settings: see `AuditSettings`.
        show_progress: on stderr.

    Returns:
        The report, with the path of its file: `audit.json`, or `audit-2.json` and so on beside an earlier one.

    Raises:
        InputError: anything that was asked for cannot be done; nothing has been written.
    """
    began = time.monotonic()
    chosen = settings if isinstance(settings, AuditSettings) else checked_settings(settings or {})
    request = check_request(
        str(run),
        base,
        chosen,
        data=[str(data)] if isinstance(data, str | Path) else [str(file) for file in data],
        general_text=None if general_text is None else str(general_text),
        other_tasks=other_tasks,
        task_data=task_data,
        only=only,
    )
    folder = output_folder(request.subject.folder, None if output is None else Path(output))
    with EvaluationProgress(enabled=show_progress) as progress:
        for note in request.notes:
            progress.say(note)
        report = _measured(request, progress.suite, folder)
        for note in report.notes:
            if note not in request.notes:
                progress.say(note)
    report = replace(report, seconds=time.monotonic() - began)
    path, figures = write_report(report, figures_of(report.parts) if chosen.figures else {}, folder)
    return replace(report, path=path, figures=figures)


def _measured(request: Request, progress: Callable[[str], Any], folder: Path) -> AuditReport:
    settings = request.settings
    transformers.set_seed(settings.seed)
    pair = load_pair(request.subject, request.base, settings.base_head)
    check_start(pair)
    asked = ask(pair, request.bias)
    evidence = gather(pair, request.rows, settings, progress)
    makers: dict[str, Callable[[], Part]] = {
        "drift": lambda: _drift(evidence, request, folder),
        "collapse": lambda: _collapse(evidence),
        "noise": lambda: noise_part(evidence, request.corruption),
        "bias": lambda: bias_part(evidence, asked),
        "calibration": lambda: calibration_part(evidence),
    }
    parts = {name: makers[name]() for name in request.parts}
    subject = request.subject
    described = {
        "name": subject.name,
        "run_id": None if subject.folder is None else run_id(subject.folder),
        "weights_sha256": subject.weights_sha256,
        "base": (request.base or subject).base.model_dump(mode="json"),
        "task": subject.task,
        "label_names": list(subject.label_names or ()),
    }
    notes = (*pair.tuned_loaded.notes, *request.notes, *evidence.notes)
    sources = request.rows.sources
    shown = settings.model_dump(mode="json")
    return AuditReport(described, compared_in_words(pair), parts, sources, shown, versions(), notes)


def compared_in_words(pair: Pair) -> str:
    """What stands against what."""
    way = "another model in memory" if pair.base_loaded is not None else "the same weights with the adapter off"
    return f"tuned: {pair.subject.name}; base: {way}; {HEADS_IN_WORDS[pair.head]}"


def _drift(evidence: Evidence, request: Request, folder: Path) -> Part:
    settings = evidence.settings
    with evidence.progress("weights") as tell:
        changes, notes = module_changes(
            evidence.pair, intruder_vectors=settings.intruder_vectors, intruder_cosine=settings.intruder_cosine
        )
        tell(1, 1)
    check_distance(evidence.pair.subject, changes)
    part = drift_part(evidence, changes, notes)
    if request.others is None:
        return part
    scores, documents = score_other_tasks(request.others, folder)
    return Part((*part.scores, *scores), {**part.details, "other_tasks": documents}, part.notes)


def _collapse(evidence: Evidence) -> Part:
    if evidence.texts is not None:
        written = None
        if evidence.settings.generations:
            with evidence.progress("sampled texts") as tell:
                written = sample_texts(evidence, tell=tell)
        part = collapse_of_texts(evidence, written)
    else:
        part = collapse_of_heads(evidence)
    picture, notes = embedding_of(evidence)
    details = {**part.details, "embedding": picture}
    if evidence.heads is not None and evidence.pair.subject.task == "classification":
        names = evidence.pair.subject.label_names or ()
        labels = evidence.rows.labels.astype(int)
        details["recall_by_class"] = recalls(evidence.heads[1], labels, names)
    return Part(part.scores, details, (*part.notes, *notes))
