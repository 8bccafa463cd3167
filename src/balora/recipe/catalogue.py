"""The recipes that come with balora: list them, read them, copy one as a start."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from balora.errors import OutputError, RecipeError, did_you_mean


@dataclass(frozen=True, slots=True)
class ShippedRecipe:
    """One recipe of the catalogue."""

    name: str
    """What the command line calls it."""
    text: str
    """The YAML file."""

    @property
    def title(self) -> str:
        """Its first line, which is a comment."""
        return self.text.partition("\n")[0].lstrip("# ").rstrip(". ")


def recipe_names() -> list[str]:
    """The names of the shipped recipes, sorted."""
    folder = resources.files("balora.recipe") / "shipped"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def shipped_recipes() -> list[ShippedRecipe]:
    """Every shipped recipe, sorted by name."""
    return [shipped_recipe(name) for name in recipe_names()]


def shipped_recipe(name: str) -> ShippedRecipe:
    """The shipped recipe of that name; `.yaml` at the end is accepted.

    Raises:
        RecipeError: when there is none.
    """
    name = name.removesuffix(".yaml")
    if name not in recipe_names():
        raise RecipeError.at(name, "no shipped recipe has this name", did_you_mean(name, recipe_names()))
    file = resources.files("balora.recipe") / "shipped" / f"{name}.yaml"
    return ShippedRecipe(name, file.read_text(encoding="utf-8"))


def copy_recipe(name: str, target: Path | None = None) -> Path:
    """Write a shipped recipe to a file or into a folder, by default `<name>.yaml` here; never over another file.

    Returns:
        The file written.

    Raises:
        RecipeError: when there is no such recipe.
        OutputError: when the file exists already or cannot be written.
    """
    recipe = shipped_recipe(name)
    file = Path(f"{recipe.name}.yaml") if target is None else target
    if file.is_dir():
        file = file / f"{recipe.name}.yaml"
    try:
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(recipe.text)
    except FileExistsError:
        raise OutputError.at(file, "exists already, and is never overwritten", "choose another name") from None
    except OSError as error:
        raise OutputError.at(file, f"cannot be written ({error.strerror})", "choose another folder") from None
    return file
