"""From settings to text data: every source read, checked and labelled, before any tokenizer or model is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from balora.data.bad_rows import BadRows
from balora.data.corrupt import corrupted
from balora.data.corruption import Corruption, SplitCorruption
from balora.data.delimited import read_delimited
from balora.data.examples import Example, LabelledText, SourceRecord, SplitName, TextData, TextSplit
from balora.data.files import decode, read_file
from balora.data.formats import generation_shape, labelled_shape, require_fitting_settings, require_target
from balora.data.hub import read_hub
from balora.data.label_words import in_words, words_of
from balora.data.labelled import LabelledRows, class_ids, labels_of, read_labelled, scores, spellings_of
from balora.data.labels import Labels, require_known_classes
from balora.data.overlap import duplicates_note, overlap_of
from balora.data.presets import Preset, preset_named
from balora.data.prompted import read_generation
from balora.data.prompts import template_for
from balora.data.settings import DataSettings
from balora.data.sources import Source, file_ending, plan_sources
from balora.data.splits import hold_out
from balora.data.structured import read_json, read_parquet
from balora.data.table import Table
from balora.errors import DataError, Findings, Problem
from balora.task import Task

USUAL_METRICS: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "f1"),
    "regression": ("pearson", "spearman"),
    "generation": (),
}
"""Scores of a task without a preset, the main one first."""

WORD_METRICS = ("exact_match",)
"""The score of classes that are written as words."""


@dataclass
class _Draft:
    """A split between reading and the final checks."""

    table: Table
    bad: BadRows
    examples: list[Example | None] = field(default_factory=list)
    labelled: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> list[Example]:
        return [example for example in self.examples if example is not None]


def load_text_data(settings: DataSettings, task: Task) -> TextData:
    """Reads every split of a run as text.

    Local files are read with our own strict readers; the datasets library is used only for `data.dataset`, or for a
    preset without a training file. Nothing is written, except to that library's own cache.

    Raises:
        DataError: listing what is wrong, with file, line or row, and the fix.
    """
    require_fitting_settings(settings, task)
    as_words = task == "generation" and settings.label_words is not None
    read_as: Task = "classification" if as_words else task
    preset = preset_named(settings.preset, read_as) if settings.preset is not None else None
    records: dict[str, SourceRecord] = {}
    tables: dict[SplitName, Table] = {}
    findings = Findings()
    for split, source in plan_sources(settings, preset).items():
        with findings.gathered():
            tables[split], records[split] = _read(source, split, settings, preset)
            _require_rows(tables[split], settings)
    findings.settle()
    labels: Labels | None = None
    if read_as == "generation":
        drafts, format_name = _read_generation(tables, settings)
    else:
        drafts, format_name, labels = _read_labelled(tables, settings, read_as, preset)
    _settle_bad_rows(drafts, settings)
    splits, notes = _final_splits(drafts, settings, labels)
    if isinstance(settings.validation, float):
        share = f"{settings.validation:g} of {records['train'].where}, seed {settings.split_seed}"
        records["validation"] = SourceRecord(share, None, None, len(splits["validation"]))
    corruption = _corrupt(splits, drafts, settings, labels, format_name) if settings.corrupt.is_on else None
    words = words_of(settings, labels) if labels and as_words else None
    if words is not None:
        splits = {name: in_words(split, words, settings, preset) for name, split in splits.items() if split.labelled}
    return TextData(
        task=task,
        format=format_name,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        label_names=labels.names if labels and words is None else None,
        metrics=WORD_METRICS if words else preset.metrics if preset else USUAL_METRICS[task],
        sources=records,
        notes=(
            *(note for draft in drafts.values() for note in draft.notes),
            *notes,
            *(corruption.notes() if corruption else ()),
        ),
        label_words=words,
        corruption=corruption,
    )


def _read(
    source: Source, split: SplitName, settings: DataSettings, preset: Preset | None
) -> tuple[Table, SourceRecord]:
    if source.hub is not None:
        table = read_hub(source, f"data.{split}")
        return table, SourceRecord(table.where, source.hub.revision, None, table.rows_read)
    content, digest = read_file(source.name, f"data.{split}")
    table = table_of_file(source, content, settings, preset)
    return table, SourceRecord(source.name, None, digest, table.rows_read)


def table_of_file(source: Source, content: bytes, settings: DataSettings, preset: Preset | None) -> Table:
    """The rows of a local file whose unpacked bytes are at hand, read as its ending says.

    Raises:
        DataError: when they are not what the ending promises.
    """
    if file_ending(source.name) == ".parquet":
        return read_parquet(source.name, content, source.rows)
    text = decode(content, settings.encoding, source.name)
    if file_ending(source.name) in (".json", ".jsonl", ".ndjson"):
        return read_json(source.name, text, source.rows)
    return read_delimited(source.name, text, settings, source.rows, preset)


def _require_rows(table: Table, settings: DataSettings) -> None:
    if table.rows:
        return
    if table.broken and settings.on_bad_row == "error":
        raise DataError(BadRows.of(table).problems())
    what = f"0 usable rows ({table.rows_read} read, {len(table.broken)} dropped)"
    raise DataError.at(table.where, what, "name a file with rows, or a slice that is not empty")


def _read_generation(tables: dict[SplitName, Table], settings: DataSettings) -> tuple[dict[SplitName, _Draft], str]:
    drafts: dict[SplitName, _Draft] = {}
    format_name: str | None = None
    for split, table in tables.items():
        shape = generation_shape(table, settings, format_name)
        format_name = shape.format
        draft = _Draft(table, BadRows.of(table))
        draft.examples, draft.notes = read_generation(table, shape, settings.template, draft.bad)
        drafts[split] = draft
    return drafts, format_name or settings.format


def _read_labelled(
    tables: dict[SplitName, Table], settings: DataSettings, task: Task, preset: Preset | None
) -> tuple[dict[SplitName, _Draft], str, Labels | None]:
    rows: dict[SplitName, LabelledRows] = {}
    format_name: str | None = None
    for split, table in tables.items():
        shape = labelled_shape(table, settings, task, preset, format_name=format_name, label_optional=split == "test")
        format_name = shape.format
        if split != "test":
            require_target(table, shape, task)
        rows[split] = read_labelled(split, table, shape, BadRows.of(table), preset)
    labels = _labels_of(rows["train"], settings, preset) if task == "classification" else None
    drafts = {split: _labelled_draft(found, labels) for split, found in rows.items()}
    if labels and (note := spellings_of(rows["train"], labels)):
        drafts["train"].notes.append(note)
    return drafts, format_name or settings.format, labels


def _labels_of(train: LabelledRows, settings: DataSettings, preset: Preset | None) -> Labels:
    try:
        return labels_of(train, settings, preset)
    except DataError:
        # Unusable rows may be why the classes look wrong, so they are reported first.
        if settings.on_bad_row == "error" and train.bad.count:
            raise DataError(train.bad.problems()) from None
        raise


def _labelled_draft(rows: LabelledRows, labels: Labels | None) -> _Draft:
    draft = _Draft(rows.table, rows.bad, labelled=rows.labelled)
    targets: dict[int, int | float | None] = {}
    if rows.labelled:
        targets = class_ids(rows, labels) if labels else scores(rows)
    else:
        draft.notes.append(f"{rows.table.where}: the test split has no labels, so it cannot be scored")
    if rows.without_gold_label:
        count = len(rows.without_gold_label)
        draft.notes.append(f"{rows.table.where}: left out {count} rows on whose label the annotators did not agree")
    draft.examples = rows.examples(targets)
    return draft


def _settle_bad_rows(drafts: dict[SplitName, _Draft], settings: DataSettings) -> None:
    """Stops on bad rows, or leaves them out and says so."""
    problems: list[Problem] = []
    for draft in drafts.values():
        if not draft.bad.count:
            continue
        if settings.on_bad_row == "error":
            problems += draft.bad.problems()
            continue
        draft.notes.append(draft.bad.summary(draft.table.rows_read))
        if not draft.usable:
            read = draft.table.rows_read
            what = f"0 usable rows ({read} read, {draft.bad.count} dropped)"
            problems += [Problem(draft.table.where, what, "correct the rows"), *draft.bad.problems()]
    if problems:
        raise DataError(problems)


def _final_splits(
    drafts: dict[SplitName, _Draft], settings: DataSettings, labels: Labels | None
) -> tuple[dict[SplitName, TextSplit], list[str]]:
    examples: dict[SplitName, Sequence[Example]] = {split: draft.usable for split, draft in drafts.items()}
    notes: list[str] = []
    if isinstance(settings.validation, float):
        if len(examples["train"]) < 2:
            raise DataError.at("data.validation", "one training row cannot be shared out", "name a validation file")
        examples["train"], examples["validation"] = hold_out(
            examples["train"], settings.validation, settings.split_seed, stratify=labels is not None
        )
        if not examples["validation"]:
            what = f"no class of {drafts['train'].table.where} has a row to spare for validation"
            raise DataError.at("data.validation", what, "name a validation file, or use more rows")
    limits: dict[SplitName, int | None] = {"train": settings.max_train_rows, "validation": settings.max_validation_rows}
    examples = {split: rows[: limits.get(split)] for split, rows in examples.items()}
    if labels is not None:
        notes += _check_classes(examples, labels, drafts)
    repeated = duplicates_note(examples["train"], drafts["train"].table.where)
    notes += [repeated] if repeated else []
    found: dict[SplitName, TextSplit] = {}
    for split, rows in examples.items():
        draft = drafts.get(split)
        read = draft.table.rows_read if draft else len(rows)
        dropped = read - len(draft.usable) if draft else 0
        found[split] = TextSplit(split, tuple(rows), read, dropped, draft.labelled if draft else True)
        if split != "train" and (note := overlap_of(examples["train"], rows).note(split)):
            notes.append(note)
    return found, notes


def _check_classes(
    examples: dict[SplitName, Sequence[Example]], labels: Labels, drafts: dict[SplitName, _Draft]
) -> list[str]:
    """Checks that training has two classes and every class of the other splits; names those that have no row."""
    ids = {
        split: [int(row.label) if isinstance(row, LabelledText) and row.label is not None else None for row in rows]
        for split, rows in examples.items()
    }
    train = [index for index in ids["train"] if index is not None]
    where = drafts["train"].table.where
    if len(set(train)) < 2:
        present = ", ".join(labels.names[index] for index in sorted(set(train)))
        raise DataError.at(where, f"holds one class only, '{present}'", "use rows of at least two classes")
    for split in ids.keys() - {"train"}:
        require_known_classes(train, ids[split], labels, split, [example.place for example in examples[split]])
    unseen = [name for index, name in enumerate(labels.names) if index not in set(train)]
    return [f"{where}: no training row has the class {', '.join(unseen)}"] if unseen else []


def _corrupt(
    splits: dict[SplitName, TextSplit],
    drafts: dict[SplitName, _Draft],
    settings: DataSettings,
    labels: Labels | None,
    format_name: str,
) -> Corruption:
    """Puts the flaws of `data.corrupt` into the splits, and gives the record of them."""
    template = template_for(settings.template, format_name)
    if settings.corrupt.token_noise_in == "prompt" and labels is None and template not in ("plain", "chat"):
        what = f"the words of the template '{template}' cannot be told from those of the row"
        raise DataError.at("data.corrupt.token_noise_in", what, "use response, or set data.template: plain")
    names: tuple[SplitName, ...] = ("train", "validation") if settings.corrupt.validation else ("train",)
    records: dict[SplitName, SplitCorruption] = {}
    for name in names:
        if name not in splits:
            fix = "set data.validation to a file or a share, or remove it"
            raise DataError.at("data.corrupt.validation", "there is no validation split", fix)
        source = drafts.get(name, drafts["train"])
        numbers = {example.place: row for row, example in enumerate(source.examples) if example is not None}
        rows = [(numbers[example.place], example) for example in splits[name].examples]
        examples, records[name] = corrupted(rows, settings.corrupt, labels, training=name == "train")
        splits[name] = replace(splits[name], examples=tuple(examples))
    return Corruption(settings.corrupt, records["train"], records.get("validation"))
