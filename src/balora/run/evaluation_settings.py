"""Scoring settings as they are typed: KEY=VALUE words -> checked settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from balora.errors import InputError, Problem, did_you_mean
from balora.evaluation.bias import BiasSettings
from balora.evaluation.judge import JudgeSettings
from balora.evaluation.settings import ScoringSettings
from balora.settings import Settings

_SECTIONS: Mapping[str, type[Settings]] = {"judge": JudgeSettings, "bias": BiasSettings}
"""Settings with settings below them, `judge.model` and the like."""


def scoring_settings(words: Sequence[str]) -> ScoringSettings:
    """The settings that KEY=VALUE words change.

    Raises:
        InputError: with every word that is wrong.

    >>> scoring_settings(["shots=0", "n=5", "temperature=0.8"]).samples
    5
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    names = {name: name for name in ScoringSettings.model_fields if name not in _SECTIONS}
    names |= ScoringSettings.all_aliases()
    names |= {f"{each}.{name}": f"{each}.{name}" for each, kind in _SECTIONS.items() for name in kind.model_fields}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            problems.append(Problem(word, "is no KEY=VALUE", "write for example shots=0; RUN comes first"))
        elif key not in names:
            problems.append(Problem(key, f"unknown setting (value '{value}')", did_you_mean(key, names)))
        elif names[key] in values:
            problems.append(Problem(key, "is set twice", "keep one of the two"))
        else:
            values[names[key]] = value
    for section in _SECTIONS:
        within = [key for key in values if key.startswith(f"{section}.")]
        if within:
            values[section] = {key.removeprefix(f"{section}."): values.pop(key) for key in within}
    if "turns" in values.get("judge", {}):
        values["judge"]["turns"] = [turn.strip() for turn in values["judge"]["turns"].split(",")]
    settings, wrong = _validated(values)
    if problems or wrong or settings is None:
        raise InputError([*problems, *wrong])
    return settings


def checked_settings(values: Mapping[str, Any]) -> ScoringSettings:
    """The settings of a mapping.

    Raises:
        InputError: with every value that is wrong.
    """
    settings, wrong = _validated(values)
    if settings is None:
        raise InputError(wrong)
    return settings


def _validated(values: Mapping[str, Any]) -> tuple[ScoringSettings | None, list[Problem]]:
    try:
        return ScoringSettings.model_validate(values), []
    except ValidationError as error:
        return None, [_problem(detail) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails) -> Problem:
    where = ".".join(map(str, detail["loc"])) or "settings"
    what, _, fix = detail["msg"].removeprefix("Value error, ").partition("; ")
    shown = f" ('{detail['input']}')" if detail["loc"] else ""
    return Problem(where, f"{what[0].lower()}{what[1:]}{shown}", fix)
