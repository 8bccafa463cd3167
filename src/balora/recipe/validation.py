"""Pydantic's errors -> problems that name the line, the key, the value and the way out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from balora.data.presets import preset_names
from balora.errors import did_you_mean
from balora.recipe.document import Document, FoundProblem, KeyPath
from balora.recipe.keys import USUAL_KEY, section_settings
from balora.recipe.schema import tasks_of_preset
from balora.settings import Settings
from balora.training.argument_fields import expectation, nearest_choice, shown

_QUOTED = re.compile(r"'([^']*)'")
_FIELD_FIRST = re.compile(r"^([A-Za-z_][\w.]*)(?:: | (?=is\b))")
_TEXT_WANTED = {"string_type", "literal_error", "path_type"}
_TASKS = "classification, regression or generation"


def problems_of(document: Document, error: ValidationError, *, missing_too: bool = True) -> list[FoundProblem]:
    """One problem per value: the alternatives of a union are named together."""
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "missing" and not missing_too:
            continue
        groups.setdefault(_field_path(document, detail), []).append(detail)
    return [_problem(document, path, details) for path, details in groups.items()]


def with_written_text(document: Document, values: dict[str, Any], error: ValidationError) -> dict[str, Any] | None:
    """The values with the text as it was written, wherever text is wanted and YAML read something else.

    A commit of digits only, a class called 1, a template in braces: all of them are text.
    None where there is nothing to replace.
    """
    replaced = None
    for detail in error.errors(include_url=False):
        path = _written_path(values, detail["loc"])
        wants_text = detail["type"] in _TEXT_WANTED and not isinstance(detail["input"], str | None)
        if wants_text and path in document.texts:
            replaced = copy.deepcopy(values) if replaced is None else replaced
            _put(replaced, path, document.texts[path])
    return replaced


def without(values: dict[str, Any], paths: Iterable[KeyPath]) -> dict[str, Any] | None:
    """The values without those at the paths; None where there is none of them."""
    kept = None
    for path in paths:
        parent = _value_at(values if kept is None else kept, path[:-1], None)
        if path and isinstance(parent, dict) and path[-1] in parent:
            kept = copy.deepcopy(values) if kept is None else kept
            _value_at(kept, path[:-1], None).pop(path[-1])
    return kept


def _put(values: Any, path: KeyPath, value: str) -> None:
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = value


def _written_path(values: Any, location: Iterable[str | int]) -> KeyPath:
    """A pydantic location without the names of union members, as far as the values go."""
    path: list[str | int] = []
    for part in location:
        inside = part in values if isinstance(values, dict) else False
        if isinstance(values, list) and isinstance(part, int):
            inside = part < len(values)
        if inside:
            path.append(part)
            values = values[part]
    return tuple(path)


def _field_path(document: Document, detail: ErrorDetails) -> KeyPath:
    """The section and field that an error is about, deeper only where it names a written value."""
    location = detail["loc"]
    if detail["type"] == "missing":
        return tuple(location)
    path = _written_path(document.values, location) or tuple(location[:2])
    named = _FIELD_FIRST.match(detail["msg"].removeprefix("Value error, "))
    if named is None or detail["type"] != "value_error":
        return path[:3] if nested_settings(path) else path[:2]
    if "." in named[1]:
        return tuple(named[1].split("."))
    settings = section_settings().get(str(path[0])) if path else None
    return (path[0], named[1]) if settings is not None and named[1] in settings.model_fields else path


def nested_settings(path: KeyPath) -> type[Settings] | None:
    """The settings behind a field that is a mapping of settings of its own, or None."""
    section = section_settings().get(str(path[0])) if path else None
    field = section.model_fields.get(str(path[1])) if section is not None and len(path) > 1 else None
    kind = None if field is None else field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def _problem(document: Document, path: KeyPath, details: list[ErrorDetails]) -> FoundProblem:
    first = details[0]
    if first["type"] == "missing":
        return _missing(document, path)
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        named = _FIELD_FIRST.match(message)
        if named is not None and (len(path) > 1 and named[1] in {path[-1], ".".join(map(str, path))}):
            message = message[named.end() :]
        what, _, fix = message.partition("; ")
        return document.problem(path, what, fix)
    nested = nested_settings(path)
    if first["type"] == "extra_forbidden" and nested is not None:
        what = f"unknown key (value {shown(first['input'])})"
        return document.problem(path, what, did_you_mean(str(path[-1]), nested.model_fields))
    value = first["input"] if len(details) == 1 else _value_at(document.values, path, first["input"])
    choices = [
        word for detail in details if detail["type"] == "literal_error" for word in _QUOTED.findall(detail["msg"])
    ]
    others = dict.fromkeys(expectation(detail) for detail in details if detail["type"] != "literal_error")
    if choices and not others:
        return document.problem(path, f"is {shown(value)}", nearest_choice(str(value), choices))
    wanted = [f"'{choice}'" for choice in dict.fromkeys(choices)] + list(others)
    return document.problem(path, f"is {shown(value)}; expected {' or '.join(wanted)}")


def _value_at(value: Any, path: KeyPath, otherwise: Any) -> Any:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return otherwise
        value = value[part]
    return value


def _missing(document: Document, path: KeyPath) -> FoundProblem:
    dotted = ".".join(str(part) for part in path)
    preset = _value_at(document.values, ("data", "preset"), None)
    if path == ("task",) and isinstance(preset, str):
        return _undecided_preset(document, preset)
    if path == ("task",):
        return document.problem(path, "is missing, and the data settings do not imply it", f"add task: {_TASKS}")
    if len(path) == 1:
        return document.problem(path, "this section is missing", f"add {dotted}.{USUAL_KEY[str(path[0])]}")
    return document.problem(path, "is missing", f"add {dotted}: <value>")


def _undecided_preset(document: Document, preset: str) -> FoundProblem:
    tasks = tasks_of_preset(preset)
    if tasks:
        return document.problem(("task",), f"is missing; '{preset}' can be {' or '.join(tasks)}", "add one of them")
    return document.problem(("data", "preset"), f"no preset is called '{preset}'", did_you_mean(preset, preset_names()))
