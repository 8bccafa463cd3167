"""Changes from the command line, `key=value`, laid over a study before anything is read."""

from __future__ import annotations

from collections.abc import Iterable

from balora.errors import Problem, RecipeError, did_you_mean
from balora.recipe.document import Document, FoundProblem, Place, read_document
from balora.redaction import ADVICE, has_credential, redacted_override
from balora.study.profiles import WITHIN, Opener, lay_over
from balora.study.settings import StudySettings

KEYS = ("base", "axes", "prepare", *StudySettings.model_fields)
"""Keys of a study that can be changed."""

_AFTER_EVERY_LINE = 1_000_000


def apply_overrides(document: Document, overrides: Iterable[str], open_base: Opener) -> list[FoundProblem]:
    """Lay `key=value` over the study, with the keys of a profile; the last one wins.

    Values are YAML: `seeds=[0, 1]`, `base.training.max_steps=20`, `tune=null`.

    Returns:
        What is wrong with them; such a change is left out.
    """
    problems: list[FoundProblem] = []
    for order, override in enumerate(overrides):
        place = Place(_AFTER_EVERY_LINE + order, f"override '{redacted_override(override)}'")
        key, equals, text = override.partition("=")
        key = key.strip()
        wrong = _misnamed(document, key, text) if equals and key else ("is not of the form key=value", "write seeds=1")
        if has_credential(override):
            wrong = ("looks like a key or a token", ADVICE)
        written = Document(place.label, None)
        if wrong is None and text.strip():
            try:
                written = read_document(text, place.label)
            except RecipeError as error:
                wrong = (error.problems[0].what, "put quotes around text with special characters")
        if wrong is not None:
            problems.append(FoundProblem(place, Problem(place.label, *wrong), ()))
            continue
        written.places = dict.fromkeys(written.places, place)
        problems += lay_over(document, key, written, place, open_base)
    return problems


def _misnamed(document: Document, key: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a key, and what to do."""
    first, dot, rest = key.partition(".")
    if first not in KEYS or first == "profiles":
        return f"a study has no key '{first}'", did_you_mean(first, KEYS)
    if dot and first not in WITHIN:
        return f"'{first}' has no settings below it", f"write {first}=..."
    axes = document.values.get("axes")
    if first == "axes" and dot and text.strip() in ("null", "~", "") and isinstance(axes, dict) and rest not in axes:
        return f"there is no axis '{rest}' to take away", did_you_mean(rest, axes)
    return None
