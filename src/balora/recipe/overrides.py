"""Changes from the command line, `section.key=value`, laid over a recipe before it is checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from balora.errors import Problem, RecipeError
from balora.recipe.document import Document, FoundProblem, Place, read_document
from balora.recipe.keys import canonical_key, check_section, sections
from balora.recipe.schema import REGULARIZER_WORDS
from balora.redaction import ADVICE, has_credential, redacted_override
from balora.training.argument_fields import RefusedError, shown

_AFTER_EVERY_LINE = 1_000_000
_CERTAINLY_YAML = set("[!&*|>%")
"""First characters after which a mistake is a mistake, not text."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value to lay over a recipe, from another place than its file."""

    dotted: str
    """`section.key`, or a section."""
    source: Document
    """The value, with the places and texts below it."""
    place: Place
    """Where it was written."""


def apply_changes(document: Document, changes: Iterable[Change]) -> list[FoundProblem]:
    """Set each change in the document, whose keys go by their own names already; the last one wins.

    Returns:
        What is wrong with the changes themselves; such a change is left out.
    """
    problems: list[FoundProblem] = []
    for change in changes:
        try:
            _lay_over(document, change.dotted, change.source, change.place)
        except RefusedError as refusal:
            where = f"{change.place.label} {change.dotted}"
            problems.append(FoundProblem(change.place, Problem(where, refusal.what, refusal.fix), ()))
    return problems


def apply_overrides(document: Document, overrides: Iterable[str]) -> list[FoundProblem]:
    """Set each override in the document, whose keys go by their own names already; the last one wins.

    Returns:
        What is wrong with the overrides themselves; such an override is left out.
    """
    problems: list[FoundProblem] = []
    for order, override in enumerate(overrides):
        place = Place(_AFTER_EVERY_LINE + order, f"override '{redacted_override(override)}'")
        try:
            _apply(document, override, place)
        except RefusedError as refusal:
            problems.append(FoundProblem(place, Problem(place.label, refusal.what, refusal.fix), ()))
        except RecipeError as error:
            fix = "put quotes around text that begins with a special character"
            problems += [FoundProblem(place, Problem(place.label, problem.what, fix), ()) for problem in error.problems]
    return problems


def _apply(document: Document, override: str, place: Place) -> None:
    dotted, equals, text = override.partition("=")
    if not equals or not dotted.strip():
        raise RefusedError("is not of the form section.key=value", "for example adapter.r=16")
    if has_credential(override):
        raise RefusedError("looks like a key or a token", ADVICE)
    source = _read_value(text, place)
    if not text.strip():
        source = Document(place.label, None)
    source.places = dict.fromkeys(source.places, place)
    source.texts[()] = text
    _lay_over(document, dotted.strip(), source, place)


def _lay_over(document: Document, dotted: str, source: Document, place: Place) -> None:
    path = _canonical_path(dotted, source.values)
    parent = _open_parent(document, path)
    document.forget(path)
    parent[path[-1]] = source.values
    for length in range(1, len(path) + 1):
        document.places[path[:length]] = place if length == len(path) else document.place_of(path[:length])
    document.places |= {(*path, *inner): where for inner, where in source.places.items()}
    document.texts |= {(*path, *inner): written for inner, written in source.texts.items()}


def _read_value(text: str, place: Place) -> Document:
    """The value as YAML; what is not YAML, such as a template with braces, is text."""
    try:
        return read_document(text, place.label)
    except RecipeError:
        if text.lstrip()[:1] in _CERTAINLY_YAML:
            raise
        return Document(place.label, text)


def _canonical_path(dotted: str, value: Any) -> tuple[str, ...]:
    """The keys of an override under their own names.

    Raises:
        RefusedError: an unknown section or key, or one value for a whole section.
    """
    first, *rest = dotted.split(".")
    section = canonical_key("", first, value)
    if not rest:
        if section in sections():
            check_section(section, value)
        return (section,)
    if section not in sections():
        raise RefusedError(f"'{section}' has no settings below it", f"write {section}={shown(value)}")
    return (section, canonical_key(section, rest[0], value), *rest[1:])


def _open_parent(document: Document, path: tuple[str, ...]) -> dict[str, Any]:
    """The mapping that the last key of the path belongs in, made where it is missing.

    Raises:
        RefusedError: where something other than a mapping stands on the way.
    """
    parent: dict[str, Any] = document.values
    for length, key in enumerate(path[:-1], start=1):
        child = parent.get(key)
        if path[:length] == ("regularizers",) and isinstance(child, str) and child in REGULARIZER_WORDS:
            child = dict(REGULARIZER_WORDS[child])
        if child is None:
            child = {}
        if not isinstance(child, dict):
            dotted = ".".join(path[:length])
            raise RefusedError(f"{dotted} is {shown(child)}, which has no settings below it", f"write {dotted}=...")
        parent[key] = child
        parent = child
    return parent


def with_overrides_noted(text: str, overrides: Iterable[str]) -> str:
    r"""The recipe as given, with the changes of the command line as comments below it.

    >>> print(with_overrides_noted("task: generation\n", ["adapter.r=4"]))
    task: generation
    <BLANKLINE>
    # changed on the command line: adapter.r=4
    <BLANKLINE>
    """
    noted = "".join(f"# changed on the command line: {' '.join(override.split())}\n" for override in overrides)
    return f"{text.rstrip()}\n\n{noted}" if noted else text
