"""What is made before the runs: a lab's base model and task files, in folders that their settings name."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.cache import staged_folder
from balora.lab import LabSettings, base_model, build_task, build_world, write_task
from balora.lab.base import FORMAT, read_record
from balora.recipe.document import Document, FoundProblem
from balora.recipe.overrides import Change
from balora.study.subtree import copied, fill, filled_change
from balora.study.validation import validated

VARIABLES = ("lab.model", "lab.train", "lab.validation", "lab.test", "lab.truth")
"""What a recipe may name of a prepared lab, as `${lab.train}`."""
_FILES = {"lab.train": "train.jsonl", "lab.validation": "validation.jsonl", "lab.test": "test.jsonl"}


@dataclass(frozen=True, slots=True)
class PreparedLab:
    """A lab by its settings, and where its files are or will be."""

    settings: LabSettings
    model: Path
    task: Path

    @property
    def variables(self) -> dict[str, str]:
        """Variable of a recipe -> path."""
        files = {name: str(self.task / file) for name, file in {**_FILES, "lab.truth": "truth.json"}.items()}
        return {"lab.model": str(self.model), **files}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Path -> what stands for its content; known before the files are made."""
        model, task = self.model.name, self.task.name
        return {str(self.model): model} | {str(self.task / file): f"{task}/{file}" for file in _FILES.values()}

    @property
    def is_made(self) -> bool:
        """Whether the files are there and whole."""
        return read_record(self.model) is not None and (self.task / "truth.json").is_file()

    def as_json(self) -> dict[str, Any]:
        """What a worker needs to make or to measure it."""
        return {"lab": self.settings.model_dump(mode="json"), "model": str(self.model), "task": str(self.task)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PreparedLab:
        """The same lab again."""
        return cls(LabSettings(**document["lab"]), Path(document["model"]), Path(document["task"]))


def lab_settings(
    written: Document, changes: list[Change], variables: Mapping[str, Any]
) -> tuple[LabSettings | None, list[FoundProblem]]:
    """The lab of one run: the study's `prepare`, what its levels change, and the run's seed where the task has none."""
    document = copied(written)
    problems = fill(document, variables)
    for change in changes:
        change, wrong = filled_change(change, variables)
        problems += wrong
        parent = document.values
        *above, last = change.dotted.split(".")
        for part in above:
            if not isinstance(parent.get(part), dict):
                parent[part] = {}
            parent = parent[part]
        parent[last] = change.source.values
        document.forget(tuple(change.dotted.split(".")))
        document.places[tuple(change.dotted.split("."))] = change.place
    lab = Document(
        document.origin,
        document.values["lab"],
        {path[1:]: place for path, place in document.places.items()},
        {path[1:]: text for path, text in document.texts.items()},
    )
    task = lab.values.setdefault("task", {})
    if isinstance(task, dict):
        task.setdefault("seed", variables["seed"])
    settings, wrong = validated(LabSettings, lab, ("prepare", "lab"))
    return settings, problems + wrong


def planned_lab(settings: LabSettings, shared: Path) -> PreparedLab:
    """Where the lab of these settings belongs; makes nothing."""
    world = {"format": FORMAT, "world": settings.world.model_dump(mode="json")}
    model = {**world, "pretraining": settings.pretraining.model_dump(mode="json")}
    task = {**world, "task": settings.task.model_dump(mode="json")}
    root = shared / "lab"
    return PreparedLab(settings, root / f"model-{_digest(model)}", root / f"task-{_digest(task)}")


def make_lab(lab: PreparedLab, cache: Path) -> None:
    """Make the files of a lab that are not there; the pre-trained model is kept in balora's cache as well.

    Raises:
        InputError: the settings contradict each other.
    """
    world = build_world(lab.settings.world)
    if read_record(lab.model) is None:
        base = base_model(world, lab.settings.pretraining, cache=cache)
        with staged_folder(lab.model, lambda folder: read_record(folder) is not None) as staged:
            shutil.copytree(base.folder, staged, dirs_exist_ok=True)
    if not (lab.task / "truth.json").is_file():
        task = build_task(world, lab.settings.task)
        with staged_folder(lab.task, lambda folder: (folder / "truth.json").is_file()) as staged:
            write_task(task, staged)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
