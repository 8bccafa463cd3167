"""The assembly of an evaluation: a run, its suites, their scores with intervals, result files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from balora.adapters import RESIDUAL_BASE
from balora.data import Example, load_text_data
from balora.data.overlap import Overlap, overlap_of
from balora.errors import InputError, Problem
from balora.evaluation.intervals import Estimate, drop, estimate, paired_difference
from balora.evaluation.results import FOLDER, check_writable, file_sha256, identity_of, run_id, versions, write_result
from balora.evaluation.settings import ScoringSettings
from balora.evaluation.transcripts import Transcripts, sha256_of
from balora.run.evaluation_bias import AskedModels, BiasJob, asked_as_it_is, asked_under_word_head, measured_job
from balora.run.evaluation_jobs import Job, JudgedJob, LabelledJob, PlannedJob, plan_jobs
from balora.run.evaluation_progress import EvaluationProgress
from balora.run.evaluation_scored import Scored
from balora.run.evaluation_scoring import (
    score_job,
    transcript_path,
    transcript_settings,
    writes_texts,
)
from balora.run.evaluation_settings import checked_settings
from balora.run.subject import LoadedSubject, Subject, base_is_apart, find_subject, load_base, load_subject

SHOWN_LEAKS = 20


@dataclass(frozen=True)
class SuiteResult:
    """One suite: its result file, and the numbers in it."""

    suite: str
    path: Path
    identical: bool
    """Whether an earlier file says the same, so that none was written."""
    scores: Mapping[str, Estimate]
    base: Mapping[str, Estimate]
    """Of the untouched base; empty unless asked for."""
    difference: Mapping[str, Estimate]
    """Run minus base, on the same items."""
    drop: Mapping[str, Estimate]
    """For a test set outside the domain: how much lower than in it, `absolute` and `relative`."""
    document: Mapping[str, Any]
    """What the file holds."""


@dataclass(frozen=True)
class _Work:
    """What stays the same from suite to suite."""

    subject: Subject
    settings: ScoringSettings
    folder: Path
    base: bool
    limit: int | None
    train: Sequence[Example] | None
    """The run's training examples, for the search for leaks; None where they cannot be read."""
    progress: EvaluationProgress


class _Held:
    """The models in memory; each is loaded once, where a suite asks for it."""

    def __init__(self, work: _Work, jobs: Sequence[PlannedJob]) -> None:
        """Load what is asked under a word head now: whether there is one shows only then.

        Raises:
            ModelError: there is none.
        """
        self._work = work
        self._loaded: LoadedSubject | None = None
        self._asked: AskedModels | None = None
        if any(isinstance(job, BiasJob) and job.kind == "masked" for job in jobs):
            batch_size = work.settings.batch_size
            self._asked = asked_under_word_head(work.subject, base=work.base, batch_size=batch_size)

    @property
    def loaded(self) -> LoadedSubject:
        """The subject with its head."""
        if self._loaded is None:
            self._loaded = load_subject(self._work.subject)
            for line in self._loaded.notes:
                self._work.progress.say(line)
        return self._loaded

    @property
    def notes(self) -> tuple[str, ...]:
        """What loading the subject had to say; none where only its body was asked."""
        return () if self._loaded is None else self._loaded.notes

    @property
    def asked(self) -> AskedModels:
        """The subject, and its base where that is compared, as bias benchmarks ask them."""
        if self._asked is None:
            work = self._work
            base: tuple[LoadedSubject, Callable[[], AbstractContextManager[Any]]] | None = None
            if work.base and base_is_apart(work.subject):
                base = load_base(work.subject), nullcontext
            elif work.base:
                base = self.loaded, self.loaded.as_base
            self._asked = asked_as_it_is(self.loaded, base, batch_size=work.settings.batch_size)
        return self._asked


def evaluate(
    run: str | Path | None = None,
    suites: Sequence[str] | str = ("validation",),
    *,
    data: str | Path | None = None,
    base: bool = False,
    limit: int | None = None,
    model: str | None = None,
    out: str | Path | None = None,
    settings: ScoringSettings | Mapping[str, Any] | None = None,
    show_progress: bool = True,
) -> list[SuiteResult]:
    """Score a run on suites and write one result file each, with standard errors and 95 % intervals.

    Args:
        run: a run folder, one of its checkpoints, or a PEFT adapter; left out, `model` is scored as it is.
        suites: names; `validation` and `test` are the run's own splits, `ood` every test set outside its domain.
        data: a file, or a folder that holds the suites' files; left out, they come from the hub.
        base: score the untouched base the same way, and the difference on the same items.
        limit: only the first items of each suite.
        model: hub id or folder; beside `run` the base in place of the one it names.
        out: where result files go; left out, RUN/evaluations, or evaluations/ here for a plain model.
        settings: see `ScoringSettings`.
        show_progress: on stderr.

    Returns:
        One result per suite.

    Raises:
        InputError: anything that was asked for cannot be done; nothing has been written.
    """
    names = list(dict.fromkeys([suites] if isinstance(suites, str) else suites))
    chosen = settings if isinstance(settings, ScoringSettings) else checked_settings(settings or {})
    subject = find_subject(run, model)
    _check_request(subject, names, base=base, limit=limit, model=model)
    jobs = plan_jobs(subject, names, None if data is None else Path(data), limit, chosen)
    folder = Path(out) if out is not None else (subject.folder or Path.cwd()) / FOLDER
    check_writable(folder)
    train, note = _training_examples(subject)
    with EvaluationProgress(enabled=show_progress) as progress:
        work = _Work(subject, chosen, folder, base, limit, train, progress)
        for line in [note] if note else []:
            progress.say(line)
        held = _Held(work, jobs)
        scored: dict[str, Scored] = {}
        results = []
        for job in jobs:
            if isinstance(job, BiasJob):
                results.append(_evaluate_bias(work, held, job))
            else:
                results.append(_evaluate_job(work, held.loaded, job, scored))
            for line in results[-1].document["notes"]:
                progress.say(f"{job.suite}: {line}")
    return results


def _check_request(subject: Subject, names: Sequence[str], *, base: bool, limit: int | None, model: str | None) -> None:
    problems = []
    if not names:
        problems.append(Problem("--suite", "no suite is named", "name one, for example validation"))
    if limit is not None and limit < 1:
        problems.append(Problem("--limit", f"is {limit}", "leave it out, or give 1 or more"))
    if base and subject.adapter is None and subject.whole is None:
        problems.append(Problem("--base", "a plain model is its own base", "leave it out, or name a run"))
    if model is not None and subject.residual is not None:
        what = f"the adapter started at a residual and computes nothing useful on another base than {RESIDUAL_BASE}"
        problems.append(Problem("--model", what, "leave it out"))
    if problems:
        raise InputError(problems)


def _training_examples(subject: Subject) -> tuple[Sequence[Example] | None, str | None]:
    if subject.recipe is None:
        return None, None
    try:
        return load_text_data(subject.recipe.data, subject.recipe.task).train.examples, None
    except InputError as error:
        return None, f"the training data cannot be read, so leaks are not looked for ({error.problems[0]})"


def _evaluate_job(work: _Work, loaded: LoadedSubject, job: Job, scored: dict[str, Scored]) -> SuiteResult:
    began = time.monotonic()
    settings = work.settings
    found, kept = _score(work, loaded, job, base=False)
    scored[job.suite] = found
    estimates = _estimates(found, settings)
    of_base: dict[str, Estimate] = {}
    difference: dict[str, Estimate] = {}
    if work.base:
        other, base_kept = _score_base(work, loaded, job)
        of_base, kept = _estimates(other, settings), [*kept, *base_kept]
        difference = {
            name: paired_difference(
                score,
                other.scores[name],
                found.items,
                clusters=found.clusters,
                resamples=settings.resamples,
                seed=settings.seed,
            )
            for name, score in found.scores.items()
        }
    drops = _drops(job, found, scored, settings)
    leaks = None if work.train is None else overlap_of(work.train, job.examples)
    identity = identity_of(job.suite, _asked(work, job))
    fresh = work.subject.task != "generation" and bool(loaded.fresh)
    document = {
        "suite": job.suite,
        "scores": {name: each.as_json() for name, each in estimates.items()},
        "base_scores": {name: each.as_json() for name, each in of_base.items()} or None,
        "difference": {name: each.as_json() for name, each in difference.items()} or None,
        "drop": {name: each.as_json() for name, each in drops.items()} or None,
        **_described(work, job, found, leaks, of_model=loaded.notes, fresh_head=fresh),
        "seconds": round(time.monotonic() - began, 3),
        "transcripts": [path.name for path in kept],
    }
    written = write_result(work.folder, job.suite, identity, document)
    return SuiteResult(job.suite, written.path, written.identical, estimates, of_base, difference, drops, document)


def _evaluate_bias(work: _Work, held: _Held, job: BiasJob) -> SuiteResult:
    began = time.monotonic()
    transformers.set_seed(work.settings.seed)
    with work.progress.suite(job.suite) as tell:
        found = measured_job(job, held.asked, tell)
    document = {
        "suite": job.suite,
        "scores": {name: each.as_json() for name, each in found.tuned.items()},
        "base_scores": {name: each.as_json() for name, each in found.base.items()} or None,
        "difference": {name: each.as_json() for name, each in found.difference.items()} or None,
        "drop": None,
        "bias": found.report.as_dict(),
        **_described(work, job, found.scored, None, of_model=held.notes),
        "seconds": round(time.monotonic() - began, 3),
        "transcripts": [],
    }
    written = write_result(work.folder, job.suite, identity_of(job.suite, _asked(work, job)), document)
    return SuiteResult(
        job.suite, written.path, written.identical, found.tuned, found.base, found.difference, {}, document
    )


def _score(work: _Work, loaded: LoadedSubject, job: Job, *, base: bool) -> tuple[Scored, list[Path]]:
    path, wanted = None, {}
    if writes_texts(job):
        wanted = transcript_settings(work.subject, job, work.settings, base=base)
        path = transcript_path(work.folder, job, wanted, base=base)
    # MT-Bench's answers have a file format, and a reader, of their own.
    transcripts = Transcripts(None if isinstance(job, JudgedJob) else path, wanted)
    transcripts.path = path
    transformers.set_seed(work.settings.seed)
    name = f"{job.suite} (base)" if base else job.suite
    with work.progress.suite(name) as tell:
        found = score_job(
            job, loaded, work.subject, work.settings, transcripts=transcripts, tell=tell, say=work.progress.say
        )
    return found, [] if path is None else [path]


def _score_base(work: _Work, loaded: LoadedSubject, job: Job) -> tuple[Scored, list[Path]]:
    if base_is_apart(work.subject):
        return _score(work, load_base(work.subject), job, base=True)
    with loaded.as_base():
        return _score(work, loaded, job, base=True)


def _estimates(found: Scored, settings: ScoringSettings) -> dict[str, Estimate]:
    return {
        name: estimate(
            score,
            found.items,
            clusters=found.clusters,
            outcomes=found.outcomes.get(name),
            resamples=settings.resamples,
            seed=settings.seed,
        )
        for name, score in found.scores.items()
    }


def _drops(job: Job, found: Scored, scored: Mapping[str, Scored], settings: ScoringSettings) -> dict[str, Estimate]:
    reference = scored.get(job.in_domain or "") if isinstance(job, LabelledJob) else None
    if reference is None:
        return {}
    name = next(iter(found.scores))
    if name not in reference.scores:
        return {}
    one, other = reference.scores[name], found.scores[name]
    return {
        kind: drop(one, reference.items, other, found.items, relative=kind == "relative", seed=settings.seed)
        for kind in ("absolute", "relative")
    }


def _asked(work: _Work, job: PlannedJob) -> dict[str, Any]:
    """What makes this evaluation this one and no other."""
    return {
        "base": work.subject.base.model_dump(mode="json"),
        "weights": work.subject.weights_sha256,
        "data": [job.source.where, job.source.sha256],
        "limit": work.limit,
        "compares_with_base": work.base,
        "settings": work.settings.model_dump(mode="json"),
    }


def _described(
    work: _Work,
    job: PlannedJob,
    found: Scored,
    leaks: Overlap | None,
    *,
    of_model: Sequence[str],
    fresh_head: bool = False,
) -> dict[str, Any]:
    subject = work.subject
    notes = [*of_model, *job.notes, *found.notes]
    if work.base and fresh_head:
        notes.append("the pretrained model has no trained head: the base scores are those of a random one")
    if leaks is not None and (line := leaks.note(job.suite)):
        notes.append(line)
    where, digest = job.source.where, job.source.sha256
    return {
        "items": found.items,
        "limit": work.limit,
        "harness": found.harness,
        "versions": versions(),
        "prompt_sha256": found.prompt_sha256,
        "data": {"where": str(where), "sha256": digest, "items_sha256": sha256_of(list(found.clusters))},
        "generation": found.generation,
        "settings": work.settings.model_dump(mode="json"),
        "seed": work.settings.seed,
        "subject": {
            "name": subject.name,
            "run_id": None if subject.folder is None else run_id(subject.folder),
            "weights_sha256": subject.weights_sha256,
            "base": subject.base.model_dump(mode="json"),
            "recipe_sha256": None if subject.folder is None else file_sha256(subject.folder / "recipe.resolved.yaml"),
        },
        "counts": dict(found.facts),
        "leakage": None if leaks is None else _leaks(leaks),
        "notes": notes,
    }


def _leaks(leaks: Overlap) -> dict[str, Any]:
    return {
        "rows": leaks.rows,
        "exact": len(leaks.exact),
        "contained": len(leaks.contained),
        "examples": [list(pair) for pair in (*leaks.exact, *leaks.contained)[:SHOWN_LEAKS]],
    }
