"""What the commands `list`, `show` and `copy` of a catalogue print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from balora.cli.output import print_json, print_message, print_result, two_columns

if TYPE_CHECKING:
    from balora.recipe import Catalogue


def list_shipped(catalogue: Catalogue, as_json: bool) -> None:
    """Print every name with its title."""
    every = catalogue.all()
    if as_json:
        print_json([{"name": each.name, "title": each.title} for each in every])
    else:
        print_result(two_columns((each.name, each.title) for each in every))


def show_shipped(catalogue: Catalogue, name: str, as_json: bool) -> None:
    """Print one file as it is."""
    shipped = catalogue.named(name)
    if as_json:
        print_json({"name": shipped.name, "title": shipped.title, "text": shipped.text})
    else:
        print_result(shipped.text)


def copy_shipped(catalogue: Catalogue, name: str, path: Path | None, use: str, as_json: bool) -> None:
    """Copy one file, and say with which command to `use` it."""
    file = catalogue.copy(name, path)
    if as_json:
        print_json({"file": str(file)})
    else:
        print_result(str(file))
        print_message(f"next: edit it, then {use} {file} --dry-run")
