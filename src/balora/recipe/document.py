"""YAML text -> plain values that remember the line and the text they were written with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from balora.errors import Problem, RecipeError

LARGEST_TEXT_BYTES = 128 * 1024
"""A recipe is a page; anything larger is another file."""
MOST_VALUES = 10_000
"""Values after aliases are expanded; a bomb of nested aliases stops here."""
DEEPEST_NESTING = 30

KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")}


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where a value was written: shown to the user, and sorted by."""

    order: int
    """Line in the file; overrides come after every line."""
    label: str = field(compare=False)
    """`recipe.yaml:7`, or `override 'adapter.r=8'`."""


@dataclass(frozen=True, slots=True)
class FoundProblem:
    """A problem and where it was found, so that all of them can be sorted."""

    place: Place
    problem: Problem
    path: KeyPath


@dataclass(slots=True)
class Document:
    """The values of a recipe before they are checked."""

    origin: str
    """Name of the file."""
    values: Any
    """Dictionaries, lists and scalars."""
    places: dict[KeyPath, Place] = field(default_factory=dict)
    """Where each key and list item stands."""
    texts: dict[KeyPath, str] = field(default_factory=dict)
    """Each scalar as it was written."""

    def place_of(self, path: KeyPath) -> Place:
        """The place of the value, or of the closest enclosing one that was written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(0, self.origin)

    def problem(self, path: KeyPath, what: str, fix: str = "") -> FoundProblem:
        """A problem with the value at that path."""
        place = self.place_of(path)
        dotted = ".".join(str(part) for part in path)
        where = place.label if place.label.startswith("override ") else f"{place.label} {dotted}".rstrip()
        return FoundProblem(place, Problem(where, what, fix), path)

    def forget(self, path: KeyPath) -> None:
        """Drop what is known about a value and everything below it."""
        for known in (self.places, self.texts):
            for other in [other for other in known if other[: len(path)] == path]:
                del known[other]

    def rename(self, path: KeyPath, name: str) -> None:
        """Move a key and everything below it to another name in the same mapping."""
        target = (*path[:-1], name)
        self._move(self.places, path, target)
        self._move(self.texts, path, target)

    @staticmethod
    def _move(known: dict[KeyPath, Any], path: KeyPath, target: KeyPath) -> None:
        for other in [other for other in known if other[: len(path)] == path]:
            known[(*target, *other[len(path) :])] = known.pop(other)


def read_document(text: str, origin: str) -> Document:
    """Parse YAML 1.2, so that `5e-5` is a number and `on` is text; nothing in it is ever executed.

    Raises:
        RecipeError: text that is not YAML, tags, keys given twice, aliases without end, or far too much of it.

    >>> read_document("adapter: {r: 8}", "recipe.yaml").values
    {'adapter': {'r': 8}}
    """
    if len(text.encode("utf-8", errors="surrogatepass")) > LARGEST_TEXT_BYTES:
        raise RecipeError.at(origin, f"larger than {LARGEST_TEXT_BYTES // 1024} KiB", "name the recipe, not the data")
    if text.count("[") + text.count("{") > MOST_VALUES:
        # The parser takes time with the square of their number before it gives up.
        raise RecipeError.at(origin, f"more than {MOST_VALUES} brackets", "write fewer")
    yaml = YAML(typ="safe", pure=True)
    try:
        with warnings.catch_warnings():
            # An alias means the anchor of its name that came last, as YAML says; a warning would print the recipe.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}" if mark else origin
        what = f"not valid YAML ({_one_line(error.problem or error.context)})"
        raise RecipeError.at(where, what, "check indentation, colons and quotes there") from None
    except YAMLError as error:
        position = error.position if isinstance(error, ReaderError) else None
        where = origin if position is None else f"{origin}:{text.count(chr(10), 0, position) + 1}"
        raise RecipeError.at(where, f"not valid YAML ({_one_line(str(error))})", "save it as plain UTF-8") from None
    except RecursionError:
        raise RecipeError.at(origin, f"nested deeper than {DEEPEST_NESTING} levels", "flatten it") from None
    document = Document(origin, {})
    if root is not None:
        reader = _Reader(yaml, document)
        document.values = reader.value(root, ())
        if reader.problems:
            raise RecipeError(reader.problems)
    return document


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:160]


class _Reader:
    """Walks the parsed nodes once, collecting problems instead of stopping at the first."""

    def __init__(self, yaml: YAML, document: Document) -> None:
        self.yaml = yaml
        self.document = document
        self.problems: list[Problem] = []
        self.count = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count == MOST_VALUES + 1:
            self._complain(node, f"more than {MOST_VALUES} values after aliases are expanded", "write fewer")
        if self.count > MOST_VALUES:
            return None
        if len(path) > DEEPEST_NESTING:
            self._complain(node, f"nested deeper than {DEEPEST_NESTING} levels, or within itself", "flatten it")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        return self._sequence(node, path) if isinstance(node, SequenceNode) else self._mapping(node, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        self.document.texts[path] = node.value
        if str(node.tag) == f"{_TAG}timestamp":
            return node.value
        if str(node.tag) not in _SCALAR_TAGS:
            self._complain(node, f"the tag {_short(node)} is not allowed", "write the plain value")
            return None
        try:
            return self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError):
            self._complain(node, f"{node.value!r} is not a valid {_short(node)}", "write the plain value")
            return None

    def _sequence(self, node: SequenceNode, path: KeyPath) -> list[Any]:
        if str(node.tag) != f"{_TAG}seq":
            self._complain(node, f"the tag {_short(node)} is not allowed", "write a plain list")
        items = []
        for position, child in enumerate(node.value):
            self.document.places[(*path, position)] = self._place(child)
            items.append(self.value(child, (*path, position)))
        return items

    def _mapping(self, node: Node, path: KeyPath) -> dict[str, Any]:
        if str(node.tag) != f"{_TAG}map":
            self._complain(node, f"the tag {_short(node)} is not allowed", "write a plain mapping")
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, ScalarNode):
                self._complain(key_node, "a key is not a word", "write `key: value`")
                continue
            key = key_node.value
            if str(key_node.tag) == f"{_TAG}merge":
                self._complain(key_node, "merge keys (<<) are not supported", "repeat the settings")
                continue
            if str(key_node.tag) not in _SCALAR_TAGS | {f"{_TAG}timestamp"}:
                self._complain(key_node, f"the tag {_short(key_node)} is not allowed", "write the plain key")
                continue
            if key in values:
                first = self.document.places[(*path, key)].label
                self._complain(key_node, f"'{key}' is given twice (first at {first})", "keep one of them")
                continue
            self.document.places[(*path, key)] = self._place(key_node)
            values[key] = self.value(child, (*path, key))
        return values

    def _place(self, node: Node) -> Place:
        line = node.start_mark.line + 1
        return Place(line, f"{self.document.origin}:{line}")

    def _complain(self, node: Node, what: str, fix: str) -> None:
        self.problems.append(Problem(self._place(node).label, what, fix))


def _short(node: Node) -> str:
    return str(node.tag).removeprefix(_TAG)
