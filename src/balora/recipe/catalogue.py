"""The files that come with balora: list them, read them, copy one as a start."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from balora.errors import OutputError, RecipeError, did_you_mean


@dataclass(frozen=True, slots=True)
class Shipped:
    """One file of a catalogue."""

    name: str
    """What the command line calls it."""
    text: str
    """The YAML file."""

    @property
    def title(self) -> str:
        """Its first line, which is a comment."""
        return self.text.partition("\n")[0].lstrip("# ").rstrip(". ")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The YAML files of one kind that come with balora.

    >>> RECIPES.named("classify-your-csv").title
    'Sort your own texts into classes, from a csv or tsv file'
    """

    kind: str
    """What messages call one of them."""
    package: str
    """Where they lie."""
    command: str = ""
    """Of the command line, that lists them."""
    folder: str = "shipped"
    """In the package."""

    def names(self) -> list[str]:
        """All names, sorted."""
        files = resources.files(self.package).joinpath(self.folder).iterdir()
        return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))

    def all(self) -> list[Shipped]:
        """Every file, sorted by name."""
        return [self.named(name) for name in self.names()]

    def named(self, name: str) -> Shipped:
        """The file of that name; `.yaml` at the end is accepted.

        Raises:
            RecipeError: when there is none.
        """
        name = name.removesuffix(".yaml")
        if name not in self.names():
            raise RecipeError.at(name, f"no shipped {self.kind} has this name", did_you_mean(name, self.names()))
        file = resources.files(self.package).joinpath(self.folder, f"{name}.yaml")
        return Shipped(name, file.read_text(encoding="utf-8"))

    def neither_file_nor_shipped(self, path: Path | str) -> RecipeError:
        """The error for a path where no file is, and which is no name of the catalogue either."""
        known = [*self.names(), *(str(other) for other in Path(path).parent.glob("*.y*ml"))]
        close = get_close_matches(str(path), known, n=1, cutoff=0.6)
        hint = f"did you mean '{close[0]}'?" if close else f"`{self.command}` shows those that come with balora"
        return RecipeError.at(path, f"no such file, and no shipped {self.kind} of that name", hint)

    def copy(self, name: str, target: Path | None = None) -> Path:
        """Write the file of that name to a file or into a folder, by default `<name>.yaml` here; never over another.

        Returns:
            The file written.

        Raises:
            RecipeError: when there is no such name.
            OutputError: when the file exists already or cannot be written.
        """
        shipped = self.named(name)
        file = Path(f"{shipped.name}.yaml") if target is None else target
        if file.is_dir():
            file = file / f"{shipped.name}.yaml"
        try:
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(shipped.text)
        except FileExistsError:
            raise OutputError.at(file, "exists already, and is never overwritten", "choose another name") from None
        except OSError as error:
            raise OutputError.at(file, f"cannot be written ({error.strerror})", "choose another folder") from None
        return file


RECIPES = Catalogue("recipe", "balora.recipe", "balora recipes list")
