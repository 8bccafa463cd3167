"""csv, tsv and txt files: strict, line by line, nothing guessed about the values."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balora.data.presets import Preset
from balora.data.settings import DataSettings
from balora.data.sources import RowSlice, file_ending
from balora.data.table import BrokenRow, Table
from balora.errors import DataError, Problem


@dataclass(frozen=True)
class Dialect:
    """How the fields of a line are told apart."""

    delimiter: str
    quoting: bool


@dataclass(frozen=True)
class Record:
    """The fields of one record and the line it starts on."""

    line: int
    fields: Sequence[str]


def dialect_of(name: str, text: str, settings: DataSettings) -> Dialect | None:
    """The dialect by the settings, else by the file's ending; None for a txt file of plain lines.

    Raises:
        DataError: when `data.delimiter` is not one character.
    """
    ending = file_ending(name)
    delimiter = settings.delimiter
    if delimiter is None:
        tabbed = ending in (".tsv", ".tab") or (ending == ".txt" and "\t" in text.partition("\n")[0])
        if ending == ".txt" and not tabbed:
            return None
        delimiter = "\t" if tabbed else ","
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataError.at("data.delimiter", f"{delimiter!r} is not one character", "use ',' or ';' or '\\t'")
    quoting = ending == ".csv" if settings.quoting is None else settings.quoting
    return Dialect(delimiter, quoting)


def read_records(text: str, dialect: Dialect, name: str) -> Iterator[Record]:
    """The records of a file, blank lines left out.

    Raises:
        DataError: on a quote that is never closed, or text between a closing quote and the delimiter.
    """
    return _quoted_records(text, dialect, name) if dialect.quoting else _plain_records(text, dialect)


def _plain_records(text: str, dialect: Dialect) -> Iterator[Record]:
    # Only \n ends a line: str.splitlines would also break at form feeds and U+2028 inside a sentence.
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.removesuffix("\r")
        if content:
            yield Record(number, content.split(dialect.delimiter))


def _quoted_records(text: str, dialect: Dialect, name: str) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    start = 1
    while True:
        # The module's limit on the length of a field is global, so it is lifted only while a record is read.
        limit = csv.field_size_limit(sys.maxsize)
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise _quoting_error(error, reader.line_num, start, name) from None
        finally:
            csv.field_size_limit(limit)
        if fields is None:
            return
        if fields:
            yield Record(start, fields)
        start = reader.line_num + 1


def _quoting_error(error: csv.Error, line: int, start: int, name: str) -> DataError:
    fix = 'write a quote inside a quoted field as "", or set data.quoting: false'
    if "unexpected end" in str(error):
        return DataError.at(f"{name}:{start}", "a double quote opened in this record is never closed", fix)
    return DataError.at(f"{name}:{line}", f"not valid csv ({error})", fix)


def read_delimited(name: str, text: str, settings: DataSettings, rows: RowSlice, preset: Preset | None) -> Table:
    """A delimited file, or a txt file of plain lines, as a table.

    The first record names the columns, unless `data.header` says otherwise, `data.columns` gives positions, or it is
    already a record of one of the preset's raw layouts.

    Raises:
        DataError: on a malformed file, no records, or unusable column names.
    """
    dialect = dialect_of(name, text, settings)
    if dialect is None:
        return _lines_as_table(name, text, rows)
    records = read_records(text, dialect, name)
    first = next(records, None)
    if first is None:
        raise DataError.at(name, "the file is empty", "name a file with rows")
    layout = preset.raw_layout(first.fields) if preset and not settings.columns and not settings.header else None
    positions = any(isinstance(column, int) for column in settings.columns.values())
    has_header = (layout is None and not positions) if settings.header is None else settings.header
    names = _header(first, dialect, name) if has_header else tuple(str(i) for i in range(len(first.fields)))
    widths = layout.widths if layout else (len(names),)
    taken = rows.take(records if has_header else _with_first(first, records))
    good = [record for record in taken if len(record.fields) in widths]
    broken = [
        _ragged(record, widths, has_header, dialect, name) for record in taken if len(record.fields) not in widths
    ]

    def column(wanted: str) -> list[str]:
        position = names.index(wanted)
        return [record.fields[position] for record in good]

    return Table(
        where=name,
        names=names,
        rows=len(good),
        column=column,
        place=lambda row: f"{name}:{good[row].line}",
        has_header=has_header,
        broken=tuple(broken),
        roles={role: str(position) for role, position in layout.roles} if layout else {},
    )


def _lines_as_table(name: str, text: str, rows: RowSlice) -> Table:
    lines = ((number, line.removesuffix("\r")) for number, line in enumerate(text.split("\n"), start=1))
    taken = rows.take((number, line) for number, line in lines if line.strip())
    return Table(
        where=name,
        names=("text",),
        rows=len(taken),
        column=lambda _: [line for _, line in taken],
        place=lambda row: f"{name}:{taken[row][0]}",
    )


def _with_first(first: Record, others: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from others


def _header(record: Record, dialect: Dialect, name: str) -> tuple[str, ...]:
    names = tuple(field.strip() for field in record.fields)
    repeated = sorted(column for column, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError.at(
            f"{name}:{record.line}",
            f"the header names {', '.join(repr(column) for column in repeated)} more than once",
            "rename one, or if the file has no header set data.header: false and give positions in data.columns",
        )
    other = next((mark for mark in ";\t,|" if len(names) == 1 and mark in names[0] and mark != dialect.delimiter), None)
    if other:
        raise DataError.at(
            f"{name}:{record.line}",
            f"one column only, '{names[0]}', but it holds {other!r}",
            f"set data.delimiter: {other!r}",
        )
    return names


def _ragged(record: Record, widths: tuple[int, ...], has_header: bool, dialect: Dialect, name: str) -> BrokenRow:
    expected = " or ".join(str(width) for width in widths)
    source = "the header has" if has_header else "the first line has" if len(widths) == 1 else "expected"
    fix = "correct the line, or set data.on_bad_row: drop"
    if not dialect.quoting and any(field.startswith('"') for field in record.fields):
        fix += ", or data.quoting: true if double quotes enclose fields"
    what = (
        f"{len(record.fields)} fields, but {source} {expected}"
        if len(widths) == 1
        else (f"{len(record.fields)} fields; expected {expected}")
    )
    return BrokenRow("wrong number of fields", Problem(f"{name}:{record.line}", what, fix))
