"""Axes that undo each other: a level that sets a whole section over keys of it that another axis has set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from balora.errors import Problem
from balora.recipe.keys import canonical_key, sections
from balora.recipe.overrides import Change
from balora.study.axes import Level
from balora.training.argument_fields import RefusedError, shown

KeyParts = tuple[str, ...]


def clashes(levels: Sequence[tuple[str, Level]]) -> Iterator[Problem]:
    """Changes of one combination that wipe what an earlier level has set, each with the place of both.

    Levels are laid over the recipe in the order of the axes. A later `regularizers: none` after an earlier
    `regularizers.consistency_weight: 0.2` would leave levels of the first axis that differ in name only.

    Args:
        levels: axis and level, in the order in which they are laid over the recipe.
    """
    before: list[tuple[str, Level, Change, KeyParts]] = []
    for axis, level in levels:
        for change in level.changes:
            parts = _parts(change)
            for other_axis, other_level, other, below in before:
                if len(parts) < len(below) and below[: len(parts)] == parts:
                    yield _problem((axis, level, change), (other_axis, other_level, other))
            before.append((axis, level, change, parts))


def _problem(later: tuple[str, Level, Change], earlier: tuple[str, Level, Change]) -> Problem:
    axis, level, change = later
    other_axis, other_level, other = earlier
    value = change.source.values
    written = f"{change.dotted}: {'{...}' if isinstance(value, dict) else shown(value)}"
    what = (
        f"'{level.label}' of axis '{axis}' sets {written} and wipes {other.dotted}, "
        f"which '{other_level.label}' of axis '{other_axis}' sets at {other.place.label}"
    )
    if axis == other_axis:
        return Problem(f"{change.place.label} {change.dotted}", what, f"write {change.dotted} first in this level")
    fix = f"put axis '{axis}' before '{other_axis}', set single keys in '{level.label}', or exclude the combination"
    return Problem(f"{change.place.label} {change.dotted}", what, fix)


def _parts(change: Change) -> KeyParts:
    """The keys of a change under the names that the recipe knows them by."""
    first, *rest = change.dotted.split(".")
    if first in sections() and rest:
        try:
            rest[0] = canonical_key(first, rest[0], change.source.values)
        except RefusedError:
            return (first, *rest)  # told where the recipe is checked
    return (first, *rest)
