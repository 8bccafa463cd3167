"""Scoring settings as they are typed: KEY=VALUE words -> checked settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from balora.errors import InputError, Problem, did_you_mean
from balora.evaluation.settings import ScoringSettings


def scoring_settings(words: Sequence[str]) -> ScoringSettings:
    """The settings that KEY=VALUE words change.

    Raises:
        InputError: with every word that is wrong.

    >>> scoring_settings(["shots=0", "n=5", "temperature=0.8"]).samples
    5
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    names = {**{name: name for name in ScoringSettings.model_fields}, **ScoringSettings.all_aliases()}
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
    try:
        settings = ScoringSettings.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = str(detail["loc"][0]) if detail["loc"] else "settings"
            what, _, fix = detail["msg"].removeprefix("Value error, ").partition("; ")
            shown = f" ('{detail['input']}')" if detail["loc"] else ""
            problems.append(Problem(where, f"{what[0].lower()}{what[1:]}{shown}", fix))
    if problems:
        raise InputError(problems)
    return settings
