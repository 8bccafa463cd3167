"""Which rows an audit looks at, where they came from, and what it has to say about that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora.auditing.settings import AuditSettings
from balora.data import DataSettings, Example, LabelledText, PromptedText, TextData, load_text_data
from balora.data.scored import ScoredSource, load_scored
from balora.errors import DataError, InputError
from balora.evaluation.labelled_sets import LABELLED_SETS
from balora.paths import user_path
from balora.run.subject import Subject


@dataclass(frozen=True)
class AuditRows:
    """What is looked at."""

    labelled: tuple[LabelledText, ...] = ()
    """Classification and regression: rows with their labels."""
    own: TextData | None = None
    """The run's data, read anew; generation: a split is encoded as in training."""
    task_texts: tuple[Example, ...] = ()
    """Generation: rows of the task."""
    general: tuple[str, ...] = ()
    """Held-out general text."""
    train: tuple[Example, ...] = ()
    """The run's training rows, in order."""
    train_counts: tuple[int, ...] = ()
    """Classification: training rows of each class."""
    sources: dict[str, str] = field(default_factory=dict)
    """What was read from where, in words."""
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> NDArray[np.generic]:
        """Classes or scores of the labelled rows."""
        return np.array([row.label for row in self.labelled])


def read_rows(subject: Subject, data: Sequence[str], general: str | None, settings: AuditSettings) -> AuditRows:
    """Read everything before any weights are loaded.

    Args:
        subject: whose validation data are taken where no file is named.
        data: files of the task.
        general: a file of general text.
        settings: how many rows.

    Raises:
        DataError: there are no rows, or they cannot be read.
    """
    own, note = _own_data(subject)
    notes = [note] if note else []
    sources: dict[str, str] = {}
    texts = _general(general) if general is not None else ()
    if general is not None:
        sources["general text"] = f"{general} ({len(texts)} texts)"
    rows: tuple[Example, ...] = _from_files(subject, data, settings) if data else _own_rows(own)
    if data:
        sources["task rows"] = f"{', '.join(data)} ({len(rows)} rows)"
    elif rows:
        split = "test" if own is not None and own.validation is None else "validation"
        sources["task rows"] = f"the run's own {split} split ({len(rows)} rows)"
    if not rows and (subject.task != "generation" or not texts):
        what = "the run has no held-out rows" if own is not None else "nothing says which rows to look at"
        fix = "name rows with --data FILE" + (" or --general-text FILE" if subject.task == "generation" else "")
        raise DataError.at("--data", what, fix)
    kept = _sampled(rows, settings.max_rows, settings.seed)
    if len(kept) < len(rows):
        notes.append(f"{len(kept)} of {len(rows)} task rows are looked at, drawn with seed {settings.seed} (max_rows)")
    if subject.task == "generation":
        return AuditRows((), own, kept, texts, _train(own), (), sources, tuple(notes))
    labelled = tuple(row for row in kept if isinstance(row, LabelledText) and row.label is not None)
    train = _train(own)
    counts = _counts(train, len(subject.label_names or ()))
    return AuditRows(labelled, own, (), texts, train, counts, sources, tuple(notes))


def _own_data(subject: Subject) -> tuple[TextData | None, str | None]:
    if subject.recipe is None:
        return None, None
    try:
        return load_text_data(subject.recipe.data, subject.recipe.task), None
    except InputError as error:
        return None, f"the run's own data cannot be read ({error.problems[0]})"


def _own_rows(own: TextData | None) -> tuple[Example, ...]:
    for split in (own.validation, own.test) if own is not None else ():
        if split is not None and split.labelled:
            return split.examples
    return ()


def _train(own: TextData | None) -> tuple[Example, ...]:
    return () if own is None else own.train.examples


def _counts(train: Sequence[Example], classes: int) -> tuple[int, ...]:
    labels = [int(row.label) for row in train if isinstance(row, LabelledText) and row.label is not None]
    return tuple(np.bincount(labels, minlength=classes).tolist()) if labels and classes else ()


def _from_files(subject: Subject, files: Sequence[str], settings: AuditSettings) -> tuple[Example, ...]:
    found: list[Example] = []
    for file in files:
        if subject.task == "generation":
            changes: dict[str, Any] = {"train": file, "validation": None, "test": None, "dataset": None, "preset": None}
            own = subject.recipe.data.model_dump(exclude_unset=True) if subject.recipe is not None else {}
            found += load_text_data(DataSettings(**{**own, **changes}), "generation").train.examples
        else:
            found += load_scored(_labelled_source(subject, file, settings)).examples
    return tuple(found)


def _labelled_source(subject: Subject, file: str, settings: AuditSettings) -> ScoredSource:
    names = tuple(settings.label_names) if settings.label_names else subject.label_names
    task = settings.trained_on or subject.trained_on
    if subject.recipe is not None:
        data = subject.recipe.data
        return ScoredSource(
            subject.task,
            names,
            file=file,
            preset=data.preset,
            columns=data.columns,
            header=data.header,
            delimiter=data.delimiter,
        )
    if task is not None and task in LABELLED_SETS:
        # The columns are those of the task; the classes are the head's, which may be called otherwise.
        known = LABELLED_SETS[task]
        return ScoredSource(known.task, known.classes or names, file=file, preset=known.preset)
    return ScoredSource(subject.task, names, file=file)


def _general(file: str) -> tuple[str, ...]:
    if not user_path(file).is_file():
        raise DataError.at(
            "--general-text", f"no file '{file}'", "name a file of text: .txt, one text a line, or .jsonl"
        )
    data = load_text_data(DataSettings(train=file, format="text"), "generation")
    return tuple(row.response for row in data.train.examples if isinstance(row, PromptedText))


def _sampled(rows: Sequence[Example], most: int, seed: int) -> tuple[Example, ...]:
    """So many of the rows, in their order."""
    if len(rows) <= most:
        return tuple(rows)
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    return tuple(rows[int(index)] for index in chosen)
