"""Rows that cannot be used: collected with their places, then reported together or left out and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from balora.data.table import Table
from balora.errors import Problem

SHOWN = 5
"""How many rows of one kind a message names before it only counts."""


@dataclass
class BadRows:
    """The unusable rows of one split, by the kind of their fault."""

    where: str
    rows: set[int] = field(default_factory=set)
    """Row numbers within the table."""
    unreadable: int = 0
    """Rows that never made it into the table."""
    _kinds: dict[str, list[Problem]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> BadRows:
        """Starts with the rows that could not be read at all."""
        bad = cls(table.where, unreadable=len(table.broken))
        for row in table.broken:
            bad._kinds.setdefault(row.kind, []).append(row.problem)
        return bad

    def add(self, row: int, kind: str, problem: Problem) -> None:
        """Marks a row as unusable; a row counts once, by its first fault."""
        if row not in self.rows:
            self.rows.add(row)
            self._kinds.setdefault(kind, []).append(problem)

    @property
    def count(self) -> int:
        """Unusable rows, unreadable ones included."""
        return len(self.rows) + self.unreadable

    def problems(self) -> list[Problem]:
        """One problem per row for the first few of each kind, then the count of that kind."""
        found: list[Problem] = []
        for kind, problems in self._kinds.items():
            found += problems[:SHOWN]
            if len(problems) > SHOWN:
                found.append(Problem(self.where, f"{len(problems)} rows in all: {kind}", problems[0].fix))
        return found

    def summary(self, rows_read: int) -> str:
        """One sentence for the notes of a run that leaves such rows out."""
        kinds = ", ".join(f"{kind} ({len(problems)})" for kind, problems in self._kinds.items())
        first = next(iter(self._kinds.values()))[0].where
        return f"{self.where}: left out {self.count} of {rows_read} rows: {kinds}; first {first}"
