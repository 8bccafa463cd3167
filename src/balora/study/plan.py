"""From a study to its runs: every combination of levels, every seed, each with its recipe and its content address."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balora.data import load_text_data
from balora.errors import InputError, Problem, RecipeError
from balora.models import load_config
from balora.paths import user_path
from balora.recipe import Recipe
from balora.study.axes import Axis, Level
from balora.study.clashes import clashes
from balora.study.document import Study
from balora.study.identity import Fingerprints, identity_of
from balora.study.metrics import LAB_VALIDATION
from balora.study.preparing import PreparedLab
from balora.study.recipes import Ingredients, recipe_of
from balora.study.results import Stage
from balora.study.settings import MOST_RUNS

MEASURED_FILES = frozenset({"data", "general_text", "task_data", "base"})
"""Settings of suites and of the audit that name files, folders or models."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of levels."""

    levels: tuple[tuple[str, Level], ...]
    """Axis and level, in the order of the axes."""

    @property
    def labels(self) -> dict[str, str]:
        """Axis -> label."""
        return {axis: level.label for axis, level in self.levels}

    def __str__(self) -> str:
        return ", ".join(level.label for _, level in self.levels)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One fine-tune that the study needs."""

    identity: str
    cell: Cell
    seed: int
    stage: Stage
    chosen: Mapping[str, Any]
    """Recipe key -> value that a sweep tries, or that tuning chose."""
    recipe: Recipe
    measures: Mapping[str, Any]
    """What is measured after training: `evaluate`, `audit`, `lab`."""
    lab: PreparedLab | None
    training: str
    """Content address of the training alone; runs that share it differ in what is measured."""

    def __str__(self) -> str:
        chosen = "".join(f", {key.rsplit('.', 1)[-1]} {_shown(value)}" for key, value in self.chosen.items())
        return f"{self.cell}{chosen}, seed {self.seed}"


@dataclass(slots=True)
class Planner:
    """Makes the runs of one study in one folder."""

    study: Study
    shared: Path
    """Where runs keep what they share."""
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    cells: list[Cell] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cross the axes and leave out what is excluded.

        Raises:
            RecipeError: when nothing remains, or there are more combinations than a study may have runs.
        """
        self._refuse_too_many()
        self.cells = [cell for cell in crossed(self.study.axes) if not self._is_excluded(cell)]
        if not self.cells:
            raise RecipeError.at(f"{self.study.origin} exclude", "leaves no run over", "exclude less")

    def _refuse_too_many(self) -> None:
        """Before the axes are crossed: ten axes of ten levels would never end."""
        settings, axes = self.study.settings, self.study.axes
        counts = {axis.name: len(axis.levels) for axis in axes} | {"seeds": len(settings.seed_list)}
        if (runs := math.prod(counts.values())) > MOST_RUNS:
            what = f"{runs} runs ({_product(counts)}); a study may have {MOST_RUNS} before any is excluded"
            raise RecipeError.at(f"{self.study.origin} axes", what, "take fewer levels or seeds, or several studies")
        tune = settings.tune
        if tune is None:
            return
        tuned = {
            name: count for name, count in counts.items() if name != "seeds" and (tune.per is None or name in tune.per)
        }
        tuned |= {key: len(values) for key, values in tune.keys.items()} | {"seeds": len(tune.seeds or [0])}
        if (runs := math.prod(tuned.values())) > MOST_RUNS:
            what = f"a sweep of {runs} runs ({_product(tuned)}); a study may have {MOST_RUNS}"
            raise RecipeError.at(f"{self.study.origin} tune", what, "try fewer values, or tune per fewer axes")

    def _is_excluded(self, cell: Cell) -> bool:
        labels = cell.labels
        return any(
            each and all(labels[axis] in ([given] if isinstance(given, str) else given) for axis, given in each.items())
            for each in self.study.settings.exclude
        )

    def run(self, cell: Cell, seed: int, stage: Stage, chosen: Mapping[str, Any]) -> PlannedRun:
        """One run.

        Raises:
            RecipeError: the recipe that follows is wrong.
        """
        settings, tune = self.study.settings, self.study.settings.tune
        is_sweep = stage == "tune" and tune is not None
        split = self.sweep_split if is_sweep else None
        levels = [level for _, level in cell.levels]
        ingredients = Ingredients(levels, seed, dict(chosen), split, is_sweep)
        recipe, lab = recipe_of(self.study, ingredients, self.shared)
        measures: dict[str, Any] = {"lab": stage if lab is not None else None}
        if not is_sweep:
            calls = [each for each in settings.evaluate if each.concerns(cell.labels)]
            measures["evaluate"] = [
                _with_paths(each.model_dump(mode="json", exclude={"only"}), _whole) for each in calls
            ]
            measures["audit"] = settings.audit and _with_paths(settings.audit, _whole)
        if lab is not None:
            self.fingerprints.know(lab.fingerprints)
        measured = {**measures, "lab": measures["lab"] and lab and [measures["lab"], lab.task.name, lab.model.name]}
        identity = identity_of(recipe, self._with_fingerprints(measured), self.fingerprints)
        training = identity_of(recipe, {}, self.fingerprints)
        return PlannedRun(identity, cell, seed, stage, dict(chosen), recipe, measures, lab, training)

    def _with_fingerprints(self, measures: Mapping[str, Any]) -> dict[str, Any]:
        """The measurements with the content of the files that they read in place of their names."""

        def content(name: str) -> str:
            return self.fingerprints.of(Path(name)) or name

        calls = [_with_paths(call, content) for call in measures.get("evaluate") or []]
        audit = measures.get("audit")
        return {**measures, "evaluate": calls, "audit": audit and _with_paths(audit, content)}

    @property
    def sweep_split(self) -> float | str | None:
        """Where a sweep's validation rows come from; None: the lab's own split, or the recipe's."""
        tune = self.study.settings.tune
        if tune is None or tune.split is not None:
            return None if tune is None else tune.split
        return None if tune.by == LAB_VALIDATION else 0.1

    def sweeps(self) -> dict[tuple[str, ...], list[PlannedRun]]:
        """Levels of the axes that tune by themselves -> the runs of their sweep, in the order of the file."""
        tune = self.study.settings.tune
        if tune is None:
            return {}
        seeds = tune.seeds or [self.study.settings.seed_list[0]]
        candidates = [dict(zip(tune.keys, values, strict=True)) for values in itertools.product(*tune.keys.values())]
        found: dict[tuple[str, ...], list[PlannedRun]] = {}
        for cell in self.cells:
            group = self.group_of(cell)
            if group not in found:
                found[group] = [self.run(cell, seed, "tune", each) for each in candidates for seed in seeds]
        return found

    def group_of(self, cell: Cell) -> tuple[str, ...]:
        """The levels that share a sweep with this cell."""
        tune = self.study.settings.tune
        per = tune.per if tune is not None else None
        return tuple(label for axis, label in cell.labels.items() if per is None or axis in per)

    def finals(self, cells: Iterable[Cell], chosen: Mapping[str, Any]) -> list[PlannedRun]:
        """The runs that count, of some cells."""
        return [self.run(cell, seed, "final", chosen) for cell in cells for seed in self.study.settings.seed_list]

    def check(self) -> list[PlannedRun]:
        """Every run as far as it is known before the first result; one per cell where tuning has yet to choose.

        Raises:
            InputError: with every problem of every combination.
        """
        problems: dict[Problem, None] = {}
        planned: list[PlannedRun] = []
        tune = self.study.settings.tune
        first = {key: values[0] for key, values in tune.keys.items()} if tune is not None else {}
        for cell in self.cells:
            problems |= dict.fromkeys(clashes(cell.levels))
            try:
                planned += self.finals([cell], first)
            except InputError as error:
                problems |= dict.fromkeys(error.problems)
        try:
            planned += [run for runs in self.sweeps().values() for run in runs]
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
        problems |= dict.fromkeys(_file_problems(planned))
        if problems:
            raise RecipeError(problems)
        return planned


def crossed(axes: Sequence[Axis]) -> Iterator[Cell]:
    """Every combination of one level of each axis; the last axis moves fastest."""
    for levels in itertools.product(*(axis.levels for axis in axes)):
        yield Cell(tuple(zip((axis.name for axis in axes), levels, strict=True)))


def _file_problems(planned: Sequence[PlannedRun]) -> Iterator[Problem]:
    """What is wrong with data files and model folders; each is looked at once, and hubs are left alone."""
    seen: set[str] = set()
    for run in planned:
        data, model = run.recipe.data, run.recipe.model
        labs = set() if run.lab is None else set(run.lab.fingerprints)
        is_local = data.dataset is None and data.train is not None
        key = data.model_dump_json()
        if is_local and key not in seen and not labs & {str(data.train), str(data.validation), str(data.test)}:
            seen.add(key)
            try:
                load_text_data(data, run.recipe.task)
            except InputError as error:
                yield from error.problems
        key = f"model {model.model_dump_json()}"
        if key not in seen and model.name_or_path not in labs and Path(model.name_or_path).is_dir():
            seen.add(key)
            try:
                load_config(model)
            except InputError as error:
                yield from error.problems


def _with_paths(settings: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Settings of a measurement with the names of files and folders changed."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(each) for each in value]
        return change(value) if isinstance(value, str) else value

    return {key: changed(value) if key in MEASURED_FILES else value for key, value in settings.items()}


def _whole(name: str) -> str:
    """A file or folder of this machine written out, for processes in other folders."""
    path = user_path(name)
    return str(path.absolute()) if path.exists() else name


def _product(counts: Mapping[str, int]) -> str:
    return " x ".join(f"{name} {count}" for name, count in counts.items())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
