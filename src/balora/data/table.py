"""A source as named columns of rows, whatever kind of file or hub split it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from balora.errors import Problem


@dataclass(frozen=True)
class BrokenRow:
    """A row that could not be read at all; `kind` groups rows that are broken in the same way."""

    kind: str
    problem: Problem


@dataclass(frozen=True)
class Table:
    """Rows by column name; a value is None where the row lacks it."""

    where: str
    """How messages name the source."""
    names: tuple[str, ...]
    """Column names; the positions "0", "1", ... where there is no header."""
    rows: int
    column: Callable[[str], Sequence[Any]]
    """All values of one column, by name."""
    place: Callable[[int], str]
    """Where a row lies: `file:line` or `source[index]`."""
    has_header: bool = True
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> class names, where the source itself says what its label ids mean."""
    broken: tuple[BrokenRow, ...] = ()
    """Rows that could not be read; they are not among `rows`."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Role -> column, where the layout of the file alone decides it."""

    @property
    def rows_read(self) -> int:
        """Rows of the source, readable or not."""
        return self.rows + len(self.broken)

    def found(self) -> str:
        """The columns, for a message."""
        shown = ", ".join(f"'{name}'" for name in self.names[:12])
        more = f" and {len(self.names) - 12} more" if len(self.names) > 12 else ""
        return f"found {shown}{more}" if self.names else "found no columns"


def table_of_objects(
    where: str,
    objects: Sequence[Mapping[str, Any]],
    place: Callable[[int], str],
    broken: tuple[BrokenRow, ...] = (),
) -> Table:
    """A table of JSON objects; its columns are all keys, in the order of their first appearance."""
    names: dict[str, None] = {}
    for row in objects:
        names.update(dict.fromkeys(row))

    def column(name: str) -> list[Any]:
        return [row.get(name) for row in objects]

    return Table(where, tuple(names), len(objects), column, place, broken=broken)
