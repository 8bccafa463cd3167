"""json, jsonl and parquet files as tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from balora.data.sources import RowSlice, file_ending
from balora.data.table import BrokenRow, Table, table_of_objects
from balora.errors import DataError, Problem
from balora.strict_json import parse_json


def read_json(name: str, text: str, rows: RowSlice) -> Table:
    """A json or jsonl file: one object a line, a list of objects, or one object that holds the rows.

    The content decides, not the ending, because both endings are in use for both forms. The one object may map row
    numbers to objects, a single key to the list, or column names to lists of equal length.

    Raises:
        DataError: when the document is not valid JSON or none of these.
    """
    start = text.lstrip()[:1]
    if not start:
        raise DataError.at(name, "the file is empty", "name a file with rows")
    if start == "{" and (file_ending(name) != ".json" or _is_one_object_a_line(text)):
        return _read_lines(name, text, rows)
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
    except DoubleKeyError as error:
        raise DataError.at(name, str(error), "keep one of the two") from None
    except json.JSONDecodeError as error:
        if start == "{" and error.msg == "Extra data":
            return _read_lines(name, text, rows)
        raise _syntax_error(name, error.lineno, error) from None
    except ValueError as error:
        raise DataError.at(name, f"not usable JSON ({_too_long(error)})", "correct the row") from None
    except RecursionError:
        raise DataError.at(name, "nested too deeply to be rows of data", "name a list of flat objects") from None
    return _document_as_table(name, document, rows)


class DoubleKeyError(ValueError):
    """An object names a key twice; JSON readers would keep the last value without a word."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise DoubleKeyError(f"'{double}' stands twice in one object")
    return found


def _is_one_object_a_line(text: str) -> bool:
    first, _, rest = text.lstrip().partition("\n")
    return first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def _syntax_error(name: str, line: int, error: json.JSONDecodeError) -> DataError:
    return DataError.at(f"{name}:{line}", _reason(error), "correct it, or delete the row")


def _reason(error: json.JSONDecodeError) -> str:
    return f"not valid JSON ({error.msg} at column {error.colno})"


def _too_long(error: ValueError) -> str:
    """Python reads whole numbers up to a length, since reading longer ones takes for ever."""
    longest = sys.get_int_max_str_digits()
    return f"a number of more than {longest} digits" if "integer string conversion" in str(error) else str(error)[:80]


def _read_lines(name: str, text: str, rows: RowSlice) -> Table:
    numbered = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    objects: list[Mapping[str, Any]] = []
    lines: list[int] = []
    broken: list[BrokenRow] = []
    for number, line in rows.take(numbered):
        value, fault = _parse_line(line)
        if fault is None:
            objects.append(value)
            lines.append(number)
        else:
            fix = "correct or delete the line, or set data.on_bad_row: drop"
            broken.append(BrokenRow("not a JSON object", Problem(f"{name}:{number}", fault, fix)))
    return table_of_objects(name, objects, lambda row: f"{name}:{lines[row]}", tuple(broken))


def _parse_line(line: str) -> tuple[Any, str | None]:
    try:
        value = json.loads(line, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        return None, _reason(error)
    except DoubleKeyError as error:
        return None, str(error)
    except ValueError as error:
        return None, f"not usable JSON ({_too_long(error)})"
    except RecursionError:
        return None, "not usable JSON (nested too deeply)"
    return value, None if isinstance(value, dict) else f"a {_json_type(value)}, but every line must be an object"


def _json_type(value: object) -> str:
    names = {list: "list", dict: "object", str: "string", bool: "true/false", int: "number", float: "number"}
    return names.get(type(value), "null")


def _document_as_table(name: str, document: Any, rows: RowSlice) -> Table:
    if isinstance(document, list):
        return _list_as_table(name, document, rows, "")
    if not isinstance(document, dict):
        raise DataError.at(name, f"holds a {_json_type(document)}", "expected a list of objects")
    values = list(document.values())
    if values and all(isinstance(value, dict) for value in values):
        keys = list(document)
        wanted = rows.rows(len(keys))
        kept = [document[keys[row]] for row in wanted]
        return table_of_objects(name, kept, lambda row: f'{name}["{keys[wanted[row]]}"]')
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    row_lists = [key for key, value in lists.items() if value and all(isinstance(row, dict) for row in value)]
    if len(row_lists) == 1:
        return _list_as_table(name, lists[row_lists[0]], rows, f".{row_lists[0]}")
    if len(lists) == len(document) > 1 and not row_lists and len({len(value) for value in values}) == 1:
        return _columns_as_table(name, lists, rows)
    raise DataError.at(
        name,
        "an object that holds " + (_several(row_lists) if row_lists else "no list of rows"),
        "expected a list of objects, an object keyed by row number, or an object with one list of rows",
    )


def _several(keys: Sequence[str]) -> str:
    return f"{len(keys)} lists of rows ({', '.join(keys[:8])})"


def _list_as_table(name: str, items: Sequence[Any], rows: RowSlice, path: str) -> Table:
    objects: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    broken: list[BrokenRow] = []
    for number in rows.rows(len(items)):
        item = items[number]
        if isinstance(item, dict):
            objects.append(item)
            numbers.append(number)
        else:
            what = f"a {_json_type(item)}, but every row must be an object"
            fix = "correct the row, or set data.on_bad_row: drop"
            broken.append(BrokenRow("not a JSON object", Problem(f"{name}{path}[{number}]", what, fix)))
    return table_of_objects(name, objects, lambda row: f"{name}{path}[{numbers[row]}]", tuple(broken))


def _columns_as_table(name: str, columns: Mapping[str, Sequence[Any]], rows: RowSlice) -> Table:
    wanted = rows.rows(len(next(iter(columns.values()))))
    return Table(
        where=name,
        names=tuple(columns),
        rows=len(wanted),
        column=lambda column: columns[column][wanted.start : wanted.stop],
        place=lambda row: f"{name}[{wanted[row]}]",
    )


def read_parquet(name: str, content: bytes, rows: RowSlice) -> Table:
    """A parquet file; class names are taken from it where the datasets library wrote it.

    Raises:
        DataError: when the bytes are not a parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError.at(name, f"not a readable parquet file ({reason})", "write it again") from None
    wanted = rows.rows(table.num_rows)
    table = table.slice(wanted.start, len(wanted))
    plain = Table(
        where=name,
        names=tuple(table.column_names),
        rows=table.num_rows,
        column=lambda column: _values(name, column, table.column(column), wanted),
        place=lambda row: f"{name}[{wanted[row]}]",
    )
    return with_class_names(plain, dict(_class_names(table.schema.metadata or {})))


def _values(name: str, column: str, values: Any, rows: range) -> list[Any]:
    """One column of a parquet file as Python's values.

    Raises:
        DataError: names the first row whose text is no UTF-8.
    """
    try:
        return list(values.to_pylist())
    except UnicodeDecodeError:
        for row in range(len(values)):
            try:
                values[row].as_py()
            except UnicodeDecodeError as error:
                what = f"'{column}' is no UTF-8 text (byte 0x{error.object[error.start]:02x} at {error.start})"
                raise DataError.at(f"{name}[{rows[row]}]", what, "write the file again from text") from None
        raise


def _class_names(metadata: Mapping[bytes, bytes]) -> Iterator[tuple[str, tuple[str, ...]]]:
    try:
        features = parse_json(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {}).items()
    except (ValueError, AttributeError):
        return
    for column, feature in features:
        names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
        if names and isinstance(names, list) and all(isinstance(name, str) for name in names):
            yield column, tuple(names)


def with_class_names(table: Table, class_names: Mapping[str, tuple[str, ...]]) -> Table:
    """The same table with the names of classes in place of their ids; ids without a name stay."""

    def column(name: str) -> Sequence[Any]:
        names = class_names.get(name)
        values = table.column(name)
        if names is None:
            return values
        return [names[v] if isinstance(v, int) and 0 <= v < len(names) else v for v in values]

    return replace(table, column=column, class_names=class_names) if class_names else table
