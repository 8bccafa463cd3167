"""One labelled split by itself: a test set whose classes are known beforehand, read for scoring."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from balora.data.bad_rows import BadRows
from balora.data.examples import LabelledText, SourceRecord
from balora.data.files import read_bytes, read_file
from balora.data.formats import labelled_shape, require_target
from balora.data.hub import read_hub
from balora.data.labelled import class_ids, read_labelled, scores
from balora.data.labels import Labels
from balora.data.load import table_of_file
from balora.data.presets import Preset, preset_named
from balora.data.settings import DataSettings
from balora.data.sources import HubDataset, Source, parse_source
from balora.data.table import Table
from balora.errors import DataError
from balora.strict_json import parse_json
from balora.task import Task


@dataclass(frozen=True)
class ScoredSource:
    """Where a test set lies and how its rows are read."""

    task: Task
    class_names: tuple[str, ...] | None
    """Names in the order of the ids that the file or dataset uses; None for scores."""
    file: str | None = None
    """Path, with an optional [slice]; else `hub` and `split`."""
    hub: HubDataset | None = None
    split: str = "validation"
    preset: str | None = None
    """Task whose column names and layouts are tried."""
    columns: Mapping[str, str | int] = field(default_factory=dict)
    header: bool | None = None
    delimiter: str | None = None
    member: str | None = None
    """The file inside a zip archive."""
    key: str | None = None
    """The list inside a JSON document that holds several."""
    only: tuple[str, str] | None = None
    """Column and value: only rows that have it."""
    on_bad_row: str = "error"


@dataclass(frozen=True)
class ScoredSplit:
    """The rows of a test set."""

    examples: tuple[LabelledText, ...]
    class_names: tuple[str, ...] | None
    source: SourceRecord
    notes: tuple[str, ...] = ()


def load_scored(source: ScoredSource) -> ScoredSplit:
    """Read a test set; rows without a usable text or label are errors, unless they are to be dropped.

    Raises:
        DataError: the file or dataset is not there, or its rows are not usable.
    """
    preset = preset_named(source.preset, source.task) if source.preset is not None else None
    settings = DataSettings(
        train=source.file or source.split,
        columns=dict(source.columns),
        header=source.header,
        delimiter=source.delimiter,
    )
    table, record = _table(source, settings, preset)
    if source.only is not None:
        table = _only(table, *source.only)
    bad = BadRows.of(table)
    shape = labelled_shape(table, settings, source.task, preset)
    require_target(table, shape, source.task)
    rows = read_labelled("validation", table, shape, bad, preset)
    labels = Labels.of_names(source.class_names, "the test set") if source.class_names else None
    targets = class_ids(rows, labels) if labels else scores(rows)
    notes = []
    if bad.count:
        if source.on_bad_row == "error":
            raise DataError(bad.problems())
        notes.append(bad.summary(table.rows_read))
    if rows.without_gold_label:
        notes.append(f"{table.where}: left out {len(rows.without_gold_label)} rows without an agreed label")
    kept = tuple(row for row in rows.examples(targets) if isinstance(row, LabelledText) and row.label is not None)
    if not kept:
        raise DataError.at(table.where, f"0 usable rows ({table.rows_read} read)", "name a file with labelled rows")
    return ScoredSplit(kept, labels.names if labels else None, record, tuple(notes))


def _table(source: ScoredSource, settings: DataSettings, preset: Preset | None) -> tuple[Table, SourceRecord]:
    if source.file is None:
        if source.hub is None:
            raise DataError.at("--data", "this test set is on no hub", "name its file, or the folder that holds it")
        split = parse_source(source.split, "--data", source.hub)
        table = read_hub(split, "--data")
        return table, SourceRecord(table.where, source.hub.revision, None, table.rows_read)
    local = parse_source(source.file, "--data")
    if source.member is None and source.key is None and source.delimiter is None:
        content, digest = read_file(local.name, "--data")
        table = table_of_file(local, content, settings, preset)
    else:
        content, digest = read_bytes(local.name, "--data")
        name = local.name if source.delimiter is None else f"{local.name}.tsv"
        if source.member is not None:
            content, name = _unzipped(content, source.member, local.name), f"{local.name}/{source.member}"
        if source.key is not None:
            content, name = _listed(content, source.key, local.name), f"{local.name}#{source.key}.json"
        table = _named(table_of_file(Source(name, local.rows, None), content, settings, preset), name, local.name)
    if table.rows == 0 and not table.broken:
        raise DataError.at(local.name, "0 rows", "name a file with rows, or a slice that is not empty")
    return table, SourceRecord(local.name, None, digest, table.rows_read)


def _named(table: Table, read_as: str, name: str) -> Table:
    """The table under the name of the file, where an ending was added only to say how it is read."""
    return replace(table, where=name, place=lambda row: table.place(row).replace(read_as, name, 1))


def _unzipped(content: bytes, member: str, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        raise DataError.at(name, f"'{member}' cannot be read from it ({error})", "fetch the archive again") from None


def _listed(content: bytes, key: str, name: str) -> bytes:
    try:
        document: Any = parse_json(content)
        rows = document[key]
    except (ValueError, KeyError, TypeError):
        raise DataError.at(name, f"no list '{key}' in it", "name the file as its authors publish it") from None
    return json.dumps(rows).encode()


def _only(table: Table, column: str, value: str) -> Table:
    """The rows that have this value in this column."""
    if column not in table.names:
        raise DataError.at(table.where, f"no column '{column}'; {table.found()}", "name the file as it is published")
    wanted = [row for row, found in enumerate(table.column(column)) if str(found) == value]
    return chosen_rows(table, wanted)


def chosen_rows(table: Table, wanted: Sequence[int]) -> Table:
    """The table with only these of its rows, at their old places."""

    def column(name: str) -> list[Any]:
        values = table.column(name)
        return [values[row] for row in wanted]

    return replace(
        table,
        rows=len(wanted),
        column=column,
        place=lambda row: table.place(wanted[row]),
    )
