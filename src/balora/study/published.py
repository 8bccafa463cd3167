"""Published numbers as a study file writes them, one by one or as the table that a paper prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from balora.errors import did_you_mean
from balora.recipe.document import Document, FoundProblem, KeyPath

METRICS = "metrics"
"""The word that puts metrics, not an axis, along the top."""

_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:±\s*(\d+(?:\.\d+)?))?\s*")
_KEYS = {"source", "rows", "columns", "names", "values", "metric", "metric_of", "levels"}
_ENTRY_KEYS = ("levels", "metric", "value", "deviation", "source")


def one_by_one(entries: Sequence[Any]) -> list[Any]:
    """Every published number as an entry of its own; entries without `values` stay as they are.

    >>> table = {"rows": "method", "columns": "task", "names": ["CoLA", "average"], "metric": "eval_matthews",
    ...          "values": {"LoRA": ["70.05±0.34", None]}, "source": "table 2"}
    >>> one_by_one([table])[0]["levels"], one_by_one([table])[0]["deviation"], len(one_by_one([table]))
    ({'method': 'LoRA', 'task': 'CoLA'}, 0.34, 1)

    Raises:
        ValueError: a table lacks a key, or a line has another length than `names`.
    """
    found: list[Any] = []
    for entry in entries:
        found += _of_table(entry) if isinstance(entry, Mapping) and "values" in entry else [entry]
    return found


def check_published(document: Document, axes: Mapping[str, Sequence[str]]) -> Iterator[FoundProblem]:
    """Published numbers that stand nowhere: at an axis that the study has not, or that are none.

    Levels may be missing in the study, which may hold a part of what a paper ran.

    Args:
        document: the whole study; what `one_by_one` refuses is told where the settings are checked.
        axes: name -> levels.
    """
    written = document.values.get("published")
    for at, entry in enumerate(written if isinstance(written, list) else ()):
        if not isinstance(entry, Mapping):
            continue
        place: KeyPath = ("published", at)
        for path, axis in _named_axes(entry):
            if axis not in axes:
                what = f"no axis is called '{axis}'"
                yield document.problem((*place, *path), what, did_you_mean(str(axis), axes))
        if "values" not in entry:
            yield from (document.problem((*place, *path), what, fix) for path, what, fix in _faults_of(entry))


def _named_axes(entry: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    levels = entry.get("levels")
    yield from ((("levels", str(axis)), axis) for axis in (levels if isinstance(levels, Mapping) else ()))
    if "values" in entry:
        yield from (((key,), entry[key]) for key in ("rows", "columns") if key in entry and entry[key] != METRICS)


def _faults_of(entry: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    for key in entry:
        if key not in _ENTRY_KEYS:
            yield (str(key),), "unknown key", did_you_mean(str(key), _ENTRY_KEYS)
    if not isinstance(entry.get("levels"), Mapping):
        yield ("levels",), "names no place", "write levels: {<axis>: <level>}"
    for key in ("value", "deviation"):
        value = entry.get(key)
        if isinstance(value, bool) or (not isinstance(value, int | float) and (key == "value" or value is not None)):
            yield (key,), f"is {'missing' if value is None else repr(value)}", "write a number such as 90.7"


def _of_table(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    unknown = [key for key in table if key not in _KEYS]
    missing = [key for key in ("rows", "columns", "names") if key not in table]
    if unknown or missing or not isinstance(table["values"], Mapping):
        what = f"has an unknown key '{unknown[0]}'" if unknown else f"lacks {', '.join(missing) or 'lines'}"
        raise ValueError(f"a table {what}; write rows, columns, names, values: {{label: [numbers]}}, metric, source")
    names = [str(name) for name in table["names"]]
    for label, line in table["values"].items():
        if not isinstance(line, list) or len(line) != len(names):
            count = len(line) if isinstance(line, list) else "no"
            raise ValueError(f"the line '{label}' has {count} numbers for {len(names)} names; write null for none")
        for name, written in zip(names, line, strict=True):
            if written is not None:
                yield _entry(table, str(label), name, written)


def _entry(table: Mapping[str, Any], label: str, name: str, written: Any) -> dict[str, Any]:
    match = _NUMBER.fullmatch(str(written))
    if match is None:
        raise ValueError(f"'{written}' in the line '{label}' is no number; write 90.7, or '90.7±0.2'")
    levels = {**table.get("levels", {}), table["rows"]: label}
    metric = name if table["columns"] == METRICS else table.get("metric_of", {}).get(name, table.get("metric"))
    if table["columns"] != METRICS:
        levels[table["columns"]] = name
    entry: dict[str, Any] = {"levels": levels, "value": float(match[1]), "source": table.get("source", "")}
    entry |= {} if metric is None else {"metric": metric}
    return entry if match[2] is None else {**entry, "deviation": float(match[2])}
