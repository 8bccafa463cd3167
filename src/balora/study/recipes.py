"""The recipe of one run: the study's base, its levels, its seed, its budget, and what tuning chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.data.sources import looks_like_a_file, parse_source
from balora.errors import Problem, RecipeError
from balora.paths import user_path
from balora.recipe import Recipe
from balora.recipe.document import Document, FoundProblem, Place
from balora.recipe.load import check_document
from balora.recipe.overrides import Change
from balora.study.axes import Level, split_changes
from balora.study.document import Study
from balora.study.preparing import VARIABLES, PreparedLab, lab_settings, planned_lab
from balora.study.subtree import copied, fill, filled_change

SHARED_CACHES: Mapping[str, bool] = {"adapter.svd_cache": True, "data.cache": True}
"""Recipe keys that a study sets where its recipe does not, so that runs share their work."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What makes one run differ from its neighbours."""

    levels: Sequence[Level]
    seed: int
    settings: Mapping[str, Any]
    """Recipe key -> value: what tuning tries or chose."""
    split: float | str | None = None
    """Of a sweep: where its validation rows come from; None leaves the recipe's own."""
    is_sweep: bool = False


def recipe_of(study: Study, ingredients: Ingredients, shared: Path) -> tuple[Recipe, PreparedLab | None]:
    """The recipe of one run, without its folder, and the lab that it uses.

    Raises:
        RecipeError: with every problem, at the lines of the study file and of the base recipe.
    """
    changes, to_prepare = split_changes([change for level in ingredients.levels for change in level.changes])
    variables: dict[str, Any] = {"seed": ingredients.seed}
    problems: list[FoundProblem] = []
    lab = None
    if study.prepare is not None:
        settings, wrong = lab_settings(study.prepare, to_prepare, variables)
        problems += wrong
        lab = None if settings is None else planned_lab(settings, shared)
        variables |= dict.fromkeys(VARIABLES, "unknown") if lab is None else lab.variables
    else:
        for change in to_prepare:
            where, fix = f"{change.place.label} prepare.{change.dotted}", "add prepare: {lab: {...}}"
            problems.append(FoundProblem(change.place, Problem(where, "this study prepares nothing", fix), ()))
    base = copied(study.base)
    problems += fill(base, variables)
    filled: list[Change] = []
    for change in changes:
        each, wrong = filled_change(change, variables)
        problems += wrong
        filled.append(each)
    fixed, wrong = _set_by_study(study, ingredients, base, variables)
    problems += wrong
    try:
        recipe = check_document(base, changes=[*_caches(base), *filled, *fixed])
    except RecipeError as error:
        told = [problem.problem for problem in sorted(problems, key=lambda each: each.place)]
        raise RecipeError([*told, *error.problems]) from None
    if problems:
        raise RecipeError(problem.problem for problem in problems)
    return with_whole_paths(recipe), lab


def _caches(base: Document) -> list[Change]:
    """The shared caches that the base recipe says nothing about."""
    found = []
    for dotted, value in SHARED_CACHES.items():
        section, key = dotted.split(".")
        written = base.values.get(section) if isinstance(base.values, dict) else None
        if not (isinstance(written, dict) and key in written):
            found.append(_change(dotted, value))
    return found


def _set_by_study(
    study: Study, ingredients: Ingredients, base: Document, variables: Mapping[str, Any]
) -> tuple[list[Change], list[FoundProblem]]:
    """Seed, budget, tuned values, and the split of a sweep."""
    problems: list[FoundProblem] = []
    values: dict[str, Any] = {"training.seed": ingredients.seed, "adapter.seed": ingredients.seed}
    if study.settings.budget.max_steps is not None:
        values["training.max_steps"] = study.settings.budget.max_steps
    values |= ingredients.settings
    if ingredients.is_sweep:
        split = Document(study.origin, ingredients.split)
        problems += fill(split, variables)
        if split.values not in (None, "validation"):
            values["data.validation"] = split.values
        if isinstance(base.values, dict) and isinstance(base.values.get("data"), dict):
            base.values["data"].pop("test", None)
    return [_change(dotted, value, study.origin) for dotted, value in values.items()], problems


def _change(dotted: str, value: Any, label: str = "study") -> Change:
    return Change(dotted, Document(label, value), Place(0, label))


def with_whole_paths(recipe: Recipe) -> Recipe:
    """The recipe with the paths of local files and folders written out, so that it runs in any working folder."""
    data = {}
    if recipe.data.dataset is None:
        for split in ("train", "validation", "test"):
            name = getattr(recipe.data, split)
            if isinstance(name, str):
                data[split] = _whole(name)
    model = {}
    for key in ("name_or_path", "tokenizer"):
        name = getattr(recipe.model, key)
        if name is not None and user_path(name).is_dir():
            model[key] = str(user_path(name).absolute())
    return recipe.model_copy(
        update={"data": recipe.data.model_copy(update=data), "model": recipe.model.model_copy(update=model)}
    )


def _whole(name: str) -> str:
    source = parse_source(name, "data")
    path = user_path(source.name)
    if path.is_file() or looks_like_a_file(source.name):
        return str(path.absolute()) + name.strip().removeprefix(source.name)
    return name
