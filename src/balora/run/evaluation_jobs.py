"""What an evaluation will ask: every suite with its items read and checked, before any weights are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from balora.data import Example, LabelledText, PromptedText, SourceRecord, TextData, load_text_data
from balora.data.files import read_bytes
from balora.data.scored import load_scored
from balora.errors import DataError, InputError, Problem, RecipeError, did_you_mean
from balora.evaluation.bias import BENCHMARKS
from balora.evaluation.generation_suites import (
    GENERATION_SUITES,
    GenerationRows,
    GenerationSuite,
    data_of,
    items_of,
    read_rows,
    shots_of,
)
from balora.evaluation.harness import require_harness
from balora.evaluation.heads import head_ids
from balora.evaluation.judge import JudgeSettings, Question, load_prompts, read_questions
from balora.evaluation.label_words import LabelWords, words_for
from balora.evaluation.labelled_sets import LABELLED_SETS, file_in, labelled_set, source_of
from balora.evaluation.sandbox import require_sandbox
from balora.evaluation.settings import ScoringSettings
from balora.evaluation.transfers import in_domain_set, transfer_to, transfers_of
from balora.run.evaluation_bias import BIAS, BiasJob, bias_job, held_benchmarks
from balora.run.subject import Subject
from balora.task import Task

OWN_SPLITS = ("validation", "test")
OUTSIDE = "ood"
MT_BENCH = "mt_bench"
QUESTION_FILES = ("mt_bench/question.jsonl", "question.jsonl")
REFERENCE_FILES = ("reference_answer/gpt-4.jsonl", "gpt-4.jsonl")


@dataclass(frozen=True)
class LabelledJob:
    """A labelled test set for a head, or for a model that writes label words."""

    suite: str
    examples: tuple[LabelledText, ...]
    references: NDArray[np.generic]
    """Class ids in the order of `class_names`, or scores."""
    class_names: tuple[str, ...] | None
    head: tuple[int, ...] | None
    """For each class the output of the head; None for scores and label words."""
    fold: dict[int, int]
    """Class -> the class it counts as."""
    words: LabelWords | None
    metrics: tuple[str, ...]
    task: Task
    source: SourceRecord
    dropped: int = 0
    """Rows whose class has no counterpart in the head."""
    in_domain: str | None = None
    """The suite that its drop is measured from."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LossJob:
    """A split of the run's own examples, scored by the loss of a language model."""

    suite: str
    examples: tuple[Example, ...]
    text: TextData
    source: SourceRecord
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerationJob:
    """Items to which the model writes, scored through the harness."""

    suite: str
    definition: GenerationSuite
    data: str
    shots_from: str | None
    shots: int
    rows: GenerationRows
    limit: int | None
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> SourceRecord:
        """Where the items come from."""
        return SourceRecord(self.rows.where, self.rows.revision, self.rows.sha256, len(self.rows.rows))

    @property
    def examples(self) -> tuple[Example, ...]:
        """The items as texts, for the search for leaks."""
        column = next(
            name for name in ("question", "problem", "prompt", "text", "Question") if name in self.rows.rows[0]
        )
        rows = items_of(self.definition, self.rows)[: self.limit]
        return tuple(
            PromptedText(str(row["place"]), " ".join(str(row[name]) for name in ("Body", column) if name in row), "")
            for row in rows
        )


@dataclass(frozen=True)
class JudgedJob:
    """Questions of two turns, and the judge that grades the answers."""

    suite: str
    questions: tuple[Question, ...]
    judge: JudgeSettings
    source: SourceRecord
    notes: tuple[str, ...] = ()

    @property
    def examples(self) -> tuple[Example, ...]:
        """The first turns, for the search for leaks."""
        where = self.source.where
        return tuple(PromptedText(f"{where}#{each.number}", each.turns[0], "") for each in self.questions)


Job = LabelledJob | LossJob | GenerationJob | JudgedJob
"""What is scored item by item."""

PlannedJob = Job | BiasJob


def plan_jobs(
    subject: Subject, suites: Sequence[str], data: Path | None, limit: int | None, settings: ScoringSettings
) -> list[PlannedJob]:
    """Every suite with its items.

    Raises:
        InputError: with every problem of every suite.
    """
    problems: list[Problem] = []
    jobs: list[PlannedJob] = []
    try:
        asked = expand(subject, suites, data, settings)
    except InputError as error:
        raise InputError(error.problems) from None
    for name, skipped in asked:
        try:
            jobs.append(_job(subject, name, data, limit, settings))
        except InputError as error:
            if not skipped:
                problems += error.problems
    if problems:
        raise InputError(dict.fromkeys(problems))
    if not jobs:
        what = f"'{data}' holds none of the test sets outside {_trained_on(subject, settings)}"
        raise DataError.at("--data", what, "name the folder that holds them")
    return jobs


def suite_names() -> list[str]:
    """Every name that `--suite` takes."""
    return [*OWN_SPLITS, OUTSIDE, *LABELLED_SETS, *GENERATION_SUITES, MT_BENCH, BIAS, *BENCHMARKS]


def expand(
    subject: Subject, suites: Sequence[str], data: Path | None, settings: ScoringSettings
) -> Iterator[tuple[str, bool]]:
    """The suites one by one; `ood` and `bias` become several.

    `ood`: the task's own test set and those outside, each skipped if it is not there. `bias`: the benchmarks of which
    the folder holds files.

    Raises:
        DataError: an unknown name, or `ood` for a head of an unknown task.
    """
    problems = [
        Problem("--suite", f"no suite is called '{name}'", did_you_mean(name, suite_names()))
        for name in suites
        if name not in suite_names()
    ]
    if OUTSIDE in suites and _trained_on(subject, settings) is None:
        what = "nothing says on which task the model was trained"
        problems.append(Problem("--suite", what, "set trained_on=TASK, for example trained_on=mnli"))
    if problems:
        raise DataError(problems)
    found: dict[str, bool] = {}
    for name in suites:
        if name == BIAS:
            found |= dict.fromkeys(held_benchmarks(subject, data), False)
            continue
        if name != OUTSIDE:
            found[name] = False
            continue
        trained_on = str(_trained_on(subject, settings))
        outside = transfers_of(trained_on)
        if not outside:
            raise DataError.at("--suite", f"no test set outside {trained_on} is known", "name the suites one by one")
        found.setdefault(in_domain_set(trained_on), False)
        for transfer in outside:
            found.setdefault(transfer.test_set, data is not None)
    return iter(found.items())


def _trained_on(subject: Subject, settings: ScoringSettings) -> str | None:
    return settings.trained_on or subject.trained_on


def _job(subject: Subject, name: str, data: Path | None, limit: int | None, settings: ScoringSettings) -> PlannedJob:
    if name in OWN_SPLITS:
        return _own(subject, name, limit)
    if name == MT_BENCH:
        return _judged(subject, data, limit, settings)
    if name in BENCHMARKS:
        return bias_job(subject, name, data, limit, settings)
    if name in GENERATION_SUITES:
        return _generation(subject, name, data, limit, settings)
    return _labelled(subject, name, data, limit, settings)


def _own(subject: Subject, name: str, limit: int | None) -> Job:
    if subject.recipe is None:
        what = f"'{name}' is a split of a run's own data, and there is no recipe here"
        raise DataError.at("--suite", what, f"name a suite: {', '.join(list(LABELLED_SETS)[:5])}, gsm8k, ...")
    text = load_text_data(subject.recipe.data, subject.recipe.task)
    split = text.split("validation" if name == "validation" else "test")
    if split is None or not split.labelled:
        raise DataError.at("--suite", f"the run's data have no labelled {name} split", "name another suite")
    examples = split.examples[:limit]
    if subject.task == "generation":
        return LossJob(name, examples, text, text.sources[name])
    rows = tuple(row for row in examples if isinstance(row, LabelledText))
    chosen = subject.recipe.evaluation.metrics or text.metrics
    head = tuple(range(len(text.label_names))) if text.label_names else None
    if text.label_names is not None and subject.label_names != text.label_names:
        what = f"its classes are {', '.join(text.label_names)} now, the head has {', '.join(subject.label_names or ())}"
        raise DataError.at("--suite", what, "put the data back that the run was trained on")
    references = np.array([row.label for row in rows])
    return LabelledJob(
        name, rows, references, text.label_names, head, {}, None, tuple(chosen), subject.task, text.sources[name]
    )


def _labelled(subject: Subject, name: str, data: Path | None, limit: int | None, settings: ScoringSettings) -> Job:
    test_set = labelled_set(name)
    writes = subject.task == "generation"
    if not writes and test_set.task != subject.task:
        what = f"'{name}' is a {test_set.task} suite, but the head is for {subject.task}"
        raise DataError.at("--suite", what, "name a suite of its kind")
    if writes:
        require_harness()
    trained_on = _trained_on(subject, settings)
    transfer = transfer_to(trained_on, name)
    found = load_scored(replace(source_of(test_set, data), on_bad_row=settings.on_bad_row))
    of_task = LABELLED_SETS.get(transfer.trained_on, test_set)
    names = of_task.classes
    words = words_for(transfer.trained_on, names, settings.template, settings.label_words) if writes else None
    notes = [*found.notes]
    kept, references, dropped = _mapped(found.examples[:limit], found.class_names, names, transfer.labels)
    head: tuple[int, ...] | None = None
    if not writes and names is not None:
        ids, note = head_ids(subject.label_names or (), names)
        head, notes = tuple(ids), [*notes, *([note] if note else [])]
    if dropped:
        notes.append(f"left out {dropped} rows whose class means nothing to a head trained on {transfer.trained_on}")
    fold = {} if names is None else {names.index(one): names.index(other) for one, other in transfer.fold.items()}
    outside = trained_on is not None and name != in_domain_set(trained_on) and name != trained_on
    metrics = of_task.scores if test_set.task == "classification" else test_set.scores
    return LabelledJob(
        suite=name,
        examples=kept,
        references=references,
        class_names=names,
        head=head,
        fold=fold,
        words=words,
        metrics=metrics,
        task=test_set.task,
        source=found.source,
        dropped=dropped,
        in_domain=in_domain_set(str(trained_on)) if outside else None,
        notes=tuple(notes),
    )


def _mapped(
    examples: Sequence[LabelledText],
    classes: tuple[str, ...] | None,
    head_classes: tuple[str, ...] | None,
    labels: object,
) -> tuple[tuple[LabelledText, ...], NDArray[np.generic], int]:
    """The rows whose class the head knows, their classes in its terms, and how many were left out."""
    if classes is None or head_classes is None or not isinstance(labels, dict):
        return tuple(examples), np.array([row.label for row in examples], dtype=np.float64), 0
    meaning = {index: labels.get(name) for index, name in enumerate(classes)}
    kept = tuple(row for row in examples if meaning[int(row.label or 0)] is not None)
    ids = [head_classes.index(str(meaning[int(row.label or 0)])) for row in kept]
    return kept, np.array(ids, dtype=np.int64), len(examples) - len(kept)


def _generation(
    subject: Subject, name: str, data: Path | None, limit: int | None, settings: ScoringSettings
) -> GenerationJob:
    suite = GENERATION_SUITES[name]
    if subject.task != "generation":
        raise DataError.at(
            "--suite", f"'{name}' is for models that write, this is a {subject.task} head", "name another"
        )
    require_harness()
    shots = suite.shots if settings.shots is None else settings.shots
    file = data_of(suite, data)
    rows = read_rows(suite, file)
    if suite.runs_code:
        require_sandbox(allow_unsandboxed=settings.unsandboxed)
    return GenerationJob(name, suite, file, shots_of(suite, data, shots), shots, rows, limit)


def _judged(subject: Subject, data: Path | None, limit: int | None, settings: ScoringSettings) -> JudgedJob:
    if subject.task != "generation":
        what = f"'{MT_BENCH}' is for models that write, this is a {subject.task} head"
        raise DataError.at("--suite", what, "name a suite of its kind")
    if settings.judge is None:
        fix = "set judge.model=NAME, and judge.base_url=URL where it is not OpenAI's"
        raise RecipeError.at("judge", f"'{MT_BENCH}' needs a judge model", fix)
    if data is None:
        raise DataError.at("--data", "the questions are on no hub", "name question.jsonl, or the folder that holds it")
    require_harness()
    file = Path(file_in(data, QUESTION_FILES, MT_BENCH))
    references = next((file.parent / name for name in REFERENCE_FILES if (file.parent / name).is_file()), None)
    questions = tuple(read_questions(file, references)[:limit])
    load_prompts(settings.judge.prompts)
    _, digest = read_bytes(str(file), "--data")
    return JudgedJob(MT_BENCH, questions, settings.judge, SourceRecord(str(file), None, digest, len(questions)))
