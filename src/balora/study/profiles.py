"""Profiles of a study file: the same study in another size, laid over it before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from balora.errors import Problem, did_you_mean
from balora.recipe.document import Document, FoundProblem, Place, read_document
from balora.study.catalogue import PROFILES
from balora.study.subtree import copied, cut
from balora.training.argument_fields import shown

WITHIN = ("base", "prepare", "axes", "tune", "budget", "resources", "audit")
"""Keys of a study below which a profile may change single values."""
LIKE = "like"
"""The key of a profile that names another one, which it starts from."""

Opener = Callable[[Document], list[FoundProblem]]
"""Puts the recipe that `base` names in its place, so that single values of it can be changed."""


def begin_from_like(document: Document, open_base: Opener) -> list[FoundProblem]:
    """Where a study says `like`, begin from a profile that studies share, and lay the study's own keys over it.

    Its own keys may be dotted, as a profile's are.

    Returns:
        What is wrong with it.
    """
    if LIKE not in document.values:
        return []
    own = copied(document)
    name = own.values.pop(LIKE)
    if name not in PROFILES.names():
        return [document.problem((LIKE,), "no shared profile has this name", did_you_mean(str(name), PROFILES.names()))]
    chain, problems = _chain(Document(document.origin, {"profiles": {}}), name)
    document.values, document.places, document.texts = {}, {}, {}
    for each in (*chain, own):
        for key in each.values:
            written, place = cut(each, (key,)), each.place_of((key,))
            if key == "profiles":
                document.values[key] = written.values
                document.places |= {(key, *path): where for path, where in written.places.items()}
                document.texts |= {(key, *path): text for path, text in written.texts.items()}
            elif key != LIKE:
                problems += lay_over(document, str(key), written, place, open_base)
    return problems


def apply_profile(document: Document, name: str | None, open_base: Opener) -> list[FoundProblem]:
    """Lay a profile over the study and drop the section `profiles`.

    A key replaces what the study says (`seeds: [0]`, `base: {...}`); a dotted key replaces one value below
    (`base.training.max_steps: 20`, `axes.rank: ...`); null takes it away. `like` names a profile of the same study, or
    one that balora's studies share, which is laid over first.

    Returns:
        What is wrong with the profile.
    """
    profiles = document.values.get("profiles") or {}
    if not isinstance(profiles, dict):
        return [document.problem(("profiles",), f"is {shown(profiles)}", "write profiles: {mini: {seeds: 1}}")]
    known = Document(document.origin, None, dict(document.places), dict(document.texts))
    known.values = {"profiles": profiles}
    document.values.pop("profiles", None)
    if name is None:
        return []
    if name not in profiles:
        hint = did_you_mean(name, profiles) if profiles else "this study has no profiles; leave it out"
        return [document.problem(("profiles",), f"there is no profile '{name}'", hint)]
    chain, problems = _chain(known, name)
    for each in chain:
        for key in each.values:
            if key != LIKE:
                written = cut(each, (key,))
                problems += lay_over(document, str(key), written, each.place_of((key,)), open_base)
    return problems


def _chain(study: Document, name: str) -> tuple[list[Document], list[FoundProblem]]:
    """A profile after those that it is like, each as a document; the first has to be laid over first."""
    chain: list[Document] = []
    seen: list[str] = []
    while True:
        seen.append(name)
        own = study.values["profiles"].get(name)
        if own is None and name in PROFILES.names():
            text = PROFILES.named(name).text
            profile = read_document(text, f"{name}.yaml")
        else:
            profile = cut(study, ("profiles", name))
        if not isinstance(profile.values, dict):
            problem = study.problem(
                ("profiles", name), f"is {shown(profile.values)}", "write keys of the study below it"
            )
            return [], [problem]
        chain.insert(0, profile)
        following = profile.values.get(LIKE)
        if following is None:
            return chain, []
        names = [each for each in (*study.values["profiles"], *PROFILES.names()) if each not in seen]
        if not isinstance(following, str) or following not in names:
            what = "goes round in a circle" if following in seen else f"there is no profile '{following}'"
            return [], [profile.problem((LIKE,), what, did_you_mean(str(following), names))]
        name = following


def lay_over(
    document: Document, key: str, written: Document, place: Place, open_base: Opener
) -> Iterator[FoundProblem]:
    """Set one key, or one value below it, to what is written; null takes it away."""
    target = _target(key)
    if target[0] == "profiles":
        where = f"{place.label} {key}"
        yield FoundProblem(place, Problem(where, "a profile has no profiles", "remove it"), ())
        return
    if target[0] == "base" and len(target) > 1 and isinstance(document.values.get("base"), str):
        yield from open_base(document)
    parent: dict[str, Any] = document.values
    for part in target[:-1]:
        child = parent.get(part)
        if not isinstance(child, dict):
            child = parent[part] = {}
        parent = child
    document.forget(target)
    if written.values is None:
        parent.pop(target[-1], None)
        return
    source = copied(written)
    parent[target[-1]] = source.values
    document.places |= {(*target, *path): each for path, each in source.places.items()}
    document.places[target] = place
    document.texts |= {(*target, *path): each for path, each in source.texts.items()}


def _target(key: str) -> tuple[str, ...]:
    """Where a key of a profile points: an axis is called by all that follows `axes.`."""
    first, dot, rest = key.partition(".")
    if not dot or first not in WITHIN:
        return (key,)
    return (first, rest) if first == "axes" else (first, *rest.split("."))
