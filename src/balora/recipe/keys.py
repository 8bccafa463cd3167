"""Which keys a recipe knows, and what to say about one that it does not know or that stands in the wrong section."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from balora.errors import did_you_mean
from balora.recipe.foreign import foreign_advice
from balora.recipe.schema import REGULARIZER_WORDS, Recipe
from balora.redaction import ADVICE, names_credential
from balora.settings import Settings
from balora.training.argument_fields import RefusedError, nearest_choice, shown
from balora.training.arguments import argument_names
from balora.training.renamed_arguments import NOT_IN_A_RECIPE, UNUSED_FLAGS

USUAL_KEY: Mapping[str, str] = MappingProxyType(
    {
        "model": "name_or_path",
        "data": "train",
        "adapter": "method",
        "regularizers": "consistency_weight",
        "training": "learning_rate",
        "evaluation": "metrics",
        "output": "dir",
    }
)
"""The key of each section that people look for first."""


@functools.cache
def section_settings() -> Mapping[str, type[Settings]]:
    """Section -> the settings class behind it; `training` has none, its keys are transformers' own."""
    annotations = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return MappingProxyType(
        {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Settings)}
    )


@functools.cache
def known_keys(section: str) -> Mapping[str, str]:
    """Every key that may stand in a section, aliases included -> the name that it goes by; `""` is the top level."""
    if section == "training":
        return MappingProxyType({name: name for name in argument_names() | set(UNUSED_FLAGS)})
    settings = Recipe if section == "" else section_settings()[section]
    return MappingProxyType({**{name: name for name in settings.model_fields}, **settings.all_aliases()})


def sections() -> list[str]:
    """Every section of a recipe, in its order."""
    return [name for name in Recipe.model_fields if name in section_settings() or name == "training"]


def check_section(section: str, value: object) -> None:
    """Refuse what cannot stand in place of a whole section: only `regularizers` has words of its own.

    Raises:
        RefusedError: with the word that was probably meant, or a key to write instead.
    """
    if value is None or isinstance(value, dict):
        return
    example = f"{section}.{USUAL_KEY[section]}"
    fix = f"for example {example}"
    if section == "regularizers":
        if isinstance(value, str) and value in REGULARIZER_WORDS:
            return
        words = nearest_choice(value, REGULARIZER_WORDS) if isinstance(value, str) else "write paper or none"
        fix = f"{words} (or settings such as {example})"
    raise RefusedError(f"is {shown(value)}; expected settings below it", fix)


def canonical_key(section: str, key: str, value: Any) -> str:
    """The field that a key sets.

    Raises:
        RefusedError: a secret, a key of another section or another tool, or one that nobody knows.
    """
    if names_credential(key):
        raise RefusedError("keys and tokens do not belong in a recipe", ADVICE)
    known = known_keys(section)
    if key in known:
        return known[key]
    if section == "training" and key in NOT_IN_A_RECIPE:
        return key
    what = f"unknown key (value {_brief(value)})" if section else f"unknown section or key (value {_brief(value)})"
    advice = foreign_advice(key, value)
    if advice is not None:
        raise RefusedError(what, advice)
    homes = [other for other in sections() if other != section and key in known_keys(other)]
    if homes:
        dotted = " or ".join(f"{home}.{known_keys(home)[key]}" for home in homes)
        raise RefusedError(what, f"it belongs to section {' or '.join(homes)}: write {dotted}")
    raise RefusedError(what, _nearest(section, key))


def _nearest(section: str, key: str) -> str:
    """The closest key of this section; else of any section; else what the section knows."""
    if get_close_matches(key.lower(), known_keys(section), n=1, cutoff=0.6):
        return did_you_mean(key, known_keys(section))
    elsewhere = {name: f"{home}.{known_keys(home)[name]}" for home in sections() for name in known_keys(home)}
    close = get_close_matches(key.lower(), elsewhere, n=1, cutoff=0.75)
    return f"did you mean {elsewhere[close[0]]}?" if close else did_you_mean(key, known_keys(section).values())


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else shown(value)
