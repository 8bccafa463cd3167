"""Recipe file + overrides -> Recipe, or every problem at once with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from balora.errors import InputError, Problem, RecipeError
from balora.recipe.catalogue import RECIPES
from balora.recipe.document import LARGEST_TEXT_BYTES, Document, FoundProblem, KeyPath, read_document
from balora.recipe.keys import canonical_key, check_section, sections
from balora.recipe.overrides import Change, apply_changes, apply_overrides
from balora.recipe.schema import Recipe
from balora.recipe.validation import problems_of, with_written_text, without
from balora.redaction import ADVICE, has_credential
from balora.training.argument_fields import RefusedError, shown
from balora.training.arguments import resolve_training_arguments


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a shipped recipe by its name, and lay overrides `section.key=value` over it.

    Where `output.dir` is left out it becomes `runs/<name of the file>`.

    Raises:
        RecipeError: with every problem at once, each with its line, its key, the value and what to do.
    """
    text, name = read_recipe_text(path)
    return parse_recipe(text, origin=name, overrides=overrides, run_name=Path(name).stem)


def parse_recipe(
    text: str, *, origin: str = "recipe.yaml", overrides: Sequence[str] = (), run_name: str | None = None
) -> Recipe:
    r"""A recipe from its YAML text; `origin` is what messages call it, `run_name` names the default run folder.

    Raises:
        RecipeError: with every problem at once.

    >>> parse_recipe("model: {name_or_path: m}\ndata: {preset: cola, train: t.tsv}").task
    'classification'
    """
    refuse_credentials(text, origin)
    document = read_document(text, origin)
    return check_document(document, overrides=overrides, run_name=run_name)


def check_document(
    document: Document,
    *,
    changes: Sequence[Change] = (),
    overrides: Sequence[str] = (),
    run_name: str | None = None,
) -> Recipe:
    """A recipe from a parsed document, which is used up; `changes` and then `overrides` are laid over it.

    Raises:
        RecipeError: with every problem at once.
    """
    if not isinstance(document.values, dict):
        what = f"is {shown(document.values)}"
        raise RecipeError.at(f"{document.origin}:1", what, "write sections: model, data, adapter, ...")
    found = list(_canonicalise(document))
    found += apply_changes(document, changes)
    found += apply_overrides(document, overrides)
    found += _training_problems(document)
    output = document.values.setdefault("output", {})
    if run_name is not None and isinstance(output, dict) and output.get("dir") is None:
        output["dir"] = f"runs/{run_name}"
    reported = {problem.path for problem in found}
    recipe, invalid = _validated(document, training_is_valid=not any(path[:1] == ("training",) for path in reported))
    found += [problem for problem in invalid if problem.path not in reported]
    if found or recipe is None:
        ordered = sorted(found, key=lambda problem: problem.place)
        raise RecipeError(dict.fromkeys(problem.problem for problem in ordered))
    return recipe


def read_recipe_text(path: Path | str) -> tuple[str, str]:
    """The text of a recipe file, or of a shipped recipe by its name, and the name that messages use.

    Raises:
        RecipeError: no such file or recipe, not a readable text file, or a file far too large for a recipe.
    """
    file = Path(path)
    try:
        if not file.exists():
            if str(path) in RECIPES.names():
                return RECIPES.named(str(path)).text, f"{path}.yaml"
            raise RECIPES.neither_file_nor_shipped(path)
        if not file.is_file():
            raise RecipeError.at(path, "is not a file", "name the .yaml file itself")
        if file.stat().st_size > LARGEST_TEXT_BYTES:
            what = f"larger than {LARGEST_TEXT_BYTES // 1024} KiB"
            raise RecipeError.at(path, what, "name the recipe, not the data")
        content = file.read_bytes()
    except OSError as error:
        raise RecipeError.at(path, f"cannot be read ({error.strerror})", "check the path and permissions") from None
    try:
        return content.decode("utf-8-sig"), str(path)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError.at(f"{path}:{line}", f"not UTF-8 (byte {error.start})", "save the file as UTF-8") from None


def refuse_credentials(text: str, origin: str) -> None:
    """Stop at keys and tokens; comments count as well, because the text as given is copied into the run folder.

    Raises:
        RecipeError: names the lines.
    """
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if has_credential(line)]
    if lines:
        raise RecipeError(Problem(f"{origin}:{line}", "looks like a key or a token", ADVICE) for line in lines)


def _canonicalise(document: Document) -> Iterator[FoundProblem]:
    """Give every key its own name; report and drop what does not belong."""
    yield from _canonical_keys(document, ())
    for section in sections():
        if section not in document.values:
            continue
        value = document.values[section]
        if value is None:
            document.values[section] = {}
        elif isinstance(value, dict):
            yield from _canonical_keys(document, (section,))
            continue
        try:
            check_section(section, value)
        except RefusedError as refusal:
            document.values.pop(section)
            yield document.problem((section,), refusal.what, refusal.fix)


def _canonical_keys(document: Document, path: tuple[str, ...]) -> Iterator[FoundProblem]:
    mapping = document.values[path[0]] if path else document.values
    section = path[0] if path else ""
    written: dict[str, str] = {}
    for key in list(mapping):
        value = mapping.pop(key)
        try:
            name = canonical_key(section, key, value)
            if name in written:
                raise RefusedError(f"sets the same thing as '{written[name]}' above", "keep one of the two")
        except RefusedError as refusal:
            yield document.problem((*path, key), refusal.what, refusal.fix)
            continue
        written[name] = key
        mapping[name] = value
    for name, key in written.items():
        if name != key:
            document.rename((*path, key), name)


def _training_problems(document: Document) -> Iterator[FoundProblem]:
    training = document.values.get("training")
    if not isinstance(training, dict):
        return
    try:
        resolve_training_arguments(training)
    except InputError as error:
        for problem in error.problems:
            key = problem.where.removeprefix("training.")
            yield document.problem(("training", key), problem.what, problem.fix)


def _validated(document: Document, *, training_is_valid: bool) -> tuple[Recipe | None, list[FoundProblem]]:
    """The recipe, or everything that is wrong with it.

    Text that YAML read as a number counts as text where text is wanted. Values that are wrong are taken out for
    another look, because pydantic compares settings with each other only once each of them is right.
    """
    values: dict[str, Any] = document.values if training_is_valid else {**document.values, "training": {}}
    found: dict[KeyPath, FoundProblem] = {}
    first_look = True
    while True:
        try:
            recipe = Recipe.model_validate(values)
            return (None if found else recipe), list(found.values())
        except ValidationError as error:
            rewritten = with_written_text(document, values, error)
            if rewritten is None:
                problems = problems_of(document, error, missing_too=first_look)
                first_look = False
                taken_out = {path[:length] for path in found for length in range(len(path))}
                for problem in problems:
                    if problem.path not in taken_out:
                        found.setdefault(problem.path, problem)
                rewritten = without(values, [problem.path for problem in problems])
            if rewritten is None:
                return None, list(found.values())
            values = rewritten
