"""Benchmark files as rows with their places; nothing that does not fit goes on unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balora.data.files import decode, read_bytes, read_file
from balora.data.hub import read_hub
from balora.data.load import table_of_file
from balora.data.settings import DataSettings
from balora.data.sources import EVERY_ROW, HubDataset, Source
from balora.data.table import Table
from balora.errors import DataError, Problem
from balora.paths import user_path
from balora.strict_json import parse_json

HUB = "hub"
"""In place of a path: the benchmark's hub dataset."""


@dataclass
class Reading:
    """What was read of a benchmark so far: its files, and what is wrong with them."""

    name: str
    """How messages and options call the benchmark."""
    files: dict[str, str | None] = field(default_factory=dict)
    """Where -> sha256 of the bytes."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, place: str, what: str, fix: str = "") -> None:
        """Something is wrong at a place of a file."""
        self.problems.append(Problem(place, what, fix))

    def finish(self, items: Sequence[Any]) -> None:
        """Refuse what is wrong or empty.

        Raises:
            DataError: with every problem.
        """
        if not items and not self.problems:
            self.problem(f"--bias {self.name}", "the files hold no item", "name the authors' files")
        if self.problems:
            raise DataError(self.problems)

    def rows(
        self, source: str, columns: Sequence[str], hub: HubDataset | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each row of a table with its place; the columns are all there.

        Raises:
            DataError: the file cannot be read or lacks a column; there is no hub dataset for it.
        """
        table = self._table(source, hub)
        missing = [name for name in columns if name not in table.names]
        if missing:
            what = f"no column {' or '.join(repr(name) for name in missing)}; {table.found()}"
            raise DataError.at(table.where, what, f"name the authors' file of {self.name}")
        self.problems += [row.problem for row in table.broken]
        values = {name: table.column(name) for name in table.names}
        for row in range(table.rows):
            yield table.place(row), {name: column[row] for name, column in values.items()}

    def _table(self, source: str, hub: HubDataset | None) -> Table:
        if source != HUB:
            content, self.files[source] = read_file(source, f"--bias {self.name}")
            return table_of_file(Source(source, EVERY_ROW, None), content, DataSettings(train=source), None)
        if hub is None:
            raise DataError.at(f"--bias {self.name}", "no hub dataset is known for it", "name the authors' file")
        self.files[str(hub)] = None
        return read_hub(Source("test", EVERY_ROW, hub), f"--bias {self.name}")

    def document(self, path: Path) -> Any:
        """A JSON document.

        Raises:
            DataError: it cannot be read, or is no JSON.
        """
        content, self.files[str(path)] = read_bytes(str(path), f"--bias {self.name}")
        try:
            return parse_json(decode(content, "utf-8", str(path)))
        except ValueError as error:
            raise DataError.at(path, f"is not JSON ({error})", f"name the authors' file of {self.name}") from None

    def lines(self, path: Path) -> list[str]:
        """The lines of a text file.

        Raises:
            DataError: it cannot be read.
        """
        content, self.files[str(path)] = read_bytes(str(path), f"--bias {self.name}")
        return decode(content, "utf-8", str(path)).splitlines()

    def paths(self, source: str, pattern: str) -> list[Path]:
        """The file itself, or the files of a folder that fit the pattern, by name.

        Raises:
            DataError: there are none.
        """
        if source == HUB:
            raise DataError.at(f"--bias {self.name}", "no hub dataset is known for it", "name the authors' files")
        path = user_path(source)
        if not path.is_dir():
            return [path]
        found = sorted(path.glob(pattern))
        if not found:
            raise DataError.at(source, f"holds no file like {pattern}", f"name the authors' files of {self.name}")
        return found


def text_of(row: Mapping[str, Any], *names: str) -> tuple[str, ...] | None:
    """The texts under these names, stripped; None where one is missing or empty."""
    values = tuple(row.get(name) for name in names)
    if not all(isinstance(value, str) and value.strip() for value in values):
        return None
    return tuple(str(value).strip() for value in values)
