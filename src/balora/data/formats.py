"""Which format the examples have, and the columns that play its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from balora.data.columns import (
    PAIRS,
    SYNONYMS,
    explicit_columns,
    find_column,
    find_role,
    find_role_by_name,
    header_hint,
    missing,
    text_columns,
)
from balora.data.presets import Preset
from balora.data.prompts import TEMPLATES, is_own_template
from balora.data.settings import DataSettings
from balora.data.table import Table
from balora.errors import DataError, did_you_mean
from balora.task import Task

LABELLED = ("sentence", "pair")
"""Formats of classification and regression."""

GENERATION: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "prompt_completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
    "query_response": ("query", "response"),
    "text": ("text",),
}
"""Formats of generation -> the roles they need, in the order `auto` tries them."""

RESPONSE_ROLE = {"prompt_completion": "completion", "alpaca": "output", "query_response": "response"}
"""Format with a prompt -> the role that is learned."""


@dataclass(frozen=True)
class Shape:
    """A format and the column of each of its roles."""

    format: str
    columns: Mapping[str, str]


def require_fitting_settings(settings: DataSettings, task: Task) -> None:
    """Checks that no setting belongs to another task.

    Raises:
        DataError: on such a setting, or an unknown template name.
    """
    from_labels = task == "generation" and settings.label_words is not None
    known = tuple(GENERATION) if task == "generation" and not from_labels else LABELLED
    if settings.label_words is not None and not from_labels:
        what = f"words are what a language model writes, and task is {task}"
        raise DataError.at("data.label_words", what, "set task: generation, or leave it out")
    if settings.format not in ("auto", *known):
        raise DataError.at("data.format", f"'{settings.format}' is not for {task}", f"use {', '.join(known)} or auto")
    if task != "classification" and settings.labels is not None and not from_labels:
        raise DataError.at("data.labels", f"class names are not for {task}", "leave it out")
    if task != "generation":
        if settings.template != "auto":
            raise DataError.at("data.template", f"a prompt template is not for {task}", "leave it out")
        if settings.too_long == "truncate_prompt":
            raise DataError.at("data.too_long", f"there is no prompt to truncate in {task}", "use truncate")
        return
    if settings.preset is not None and not from_labels:
        fix = "name a file or dataset, or set data.label_words: names to let the model write the class"
        raise DataError.at("data.preset", "presets are for classification and regression", fix)
    template = settings.template
    if template not in TEMPLATES and not is_own_template(template):
        raise DataError.at("data.template", f"no template '{template}'", did_you_mean(template, TEMPLATES))
    if settings.format in ("messages", "text") and template not in ("auto", "chat"):
        raise DataError.at("data.template", f"the format '{settings.format}' takes no template", "leave it out")


def labelled_shape(
    table: Table,
    settings: DataSettings,
    task: Task,
    preset: Preset | None,
    *,
    format_name: str | None = None,
    label_optional: bool = False,
) -> Shape:
    """Format and columns of a classification or regression table; no label column where the table has none.

    `format_name` is the format of the training split, once that is known. With `label_optional` the label column that
    `data.columns` names may be absent, as in a test split.

    Raises:
        DataError: when the columns do not decide it, or `data.columns` does not fit.
    """
    target = "score" if task == "regression" else "label"
    wanted = format_name or settings.format
    pair = None if wanted == "auto" else wanted == "pair"
    candidates = preset.column_names if preset else {}
    columns = settings.columns
    if label_optional and columns.get(target) not in (*table.names, *range(len(table.names))):
        columns = {role: column for role, column in columns.items() if role != target}
    found = explicit_columns(table, columns, ("text", "text_pair", target)) or dict(table.roles)
    if "text" not in found:
        found = text_columns(table, candidates, pair) | found
    elif "text_pair" not in found and (column := find_role_by_name(table, candidates.get("text_pair", ()))):
        found["text_pair"] = column
    if pair and "text_pair" not in found:
        raise missing(table, "text_pair", [second for _, second in PAIRS])
    if pair is False:
        found.pop("text_pair", None)
    if target not in found and (column := find_role(table, target, candidates.get(target, ()))) is not None:
        found[target] = column
    _require_distinct(found)
    return Shape("pair" if "text_pair" in found else "sentence", found)


def require_target(table: Table, shape: Shape, task: Task) -> None:
    """Checks that a table that must be labelled has a label column.

    Raises:
        DataError: naming the columns there are.
    """
    target = "score" if task == "regression" else "label"
    if target not in shape.columns:
        raise missing(table, target, SYNONYMS[target])


def generation_shape(table: Table, settings: DataSettings, format_name: str | None = None) -> Shape:
    """Format and columns of a generation table; `format_name` is that of the training split, once known.

    Raises:
        DataError: when the columns do not decide it, or `data.columns` does not fit.
    """
    name = format_name or settings.format
    if name == "auto":
        name = _format_of(table, settings)
    optional = ("input",) if name == "alpaca" else ()
    found = explicit_columns(table, settings.columns, (*GENERATION[name], *optional))
    needed = GENERATION[name]
    if is_own_template(settings.template) and name in RESPONSE_ROLE:
        needed = (RESPONSE_ROLE[name],)
    for role in needed:
        if role not in found:
            column = find_role(table, role)
            if column is None:
                raise missing(table, role, SYNONYMS[role])
            found[role] = column
    for role in optional:
        if role not in found and (column := find_role_by_name(table, SYNONYMS[role])) is not None:
            found[role] = column
    _require_distinct(found)
    return Shape(name, found)


def _format_of(table: Table, settings: DataSettings) -> str:
    given = set(settings.columns)
    if given:
        fitting = [name for name, roles in GENERATION.items() if given <= {*roles, "input"} and given & set(roles)]
        if fitting:
            return fitting[0]
        explicit_columns(table, settings.columns, sorted({role for roles in GENERATION.values() for role in roles}))
        raise DataError.at("data.columns", f"{', '.join(sorted(given))} belong to different formats", _FORMATS_FIX)
    if is_own_template(settings.template):
        return "query_response"
    for name, roles in GENERATION.items():
        if all(_present(table, role) for role in roles):
            return name
    what = f"the columns do not tell the format; {table.found()}"
    fix = f"name them, for example data.columns: {{query: NAME, response: NAME}}{header_hint(table)}; {_FORMATS_FIX}"
    raise DataError.at(table.where, what, fix)


_FORMATS_FIX = "formats: " + "; ".join(f"{name} ({' + '.join(roles)})" for name, roles in GENERATION.items())


def _present(table: Table, role: str) -> bool:
    return any(find_column(table.names, name) is not None for name in SYNONYMS[role])


def _require_distinct(found: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for role, column in found.items():
        if column in taken:
            raise DataError.at(
                f"data.columns.{role}", f"'{column}' is already '{taken[column]}'", "name two different columns"
            )
        taken[column] = role
