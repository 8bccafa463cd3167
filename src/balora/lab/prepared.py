"""A lab ready for fine-tunes: task files, questions, and models that read the flawed corpus and its clean twin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import transformers
from peft import PeftModel

from balora.cache import cache_folder, staged_folder
from balora.errors import InputError
from balora.lab.base import FORMAT, base_model
from balora.lab.classifier import classifier_on
from balora.lab.measure import Exam, LabScores, LogitsFunction, logits_of
from balora.lab.pretraining import OnStep, PretrainingSettings
from balora.lab.questions import questions_about, write_questions
from balora.lab.task import CityTask, TaskFiles, TaskSettings, build_task, write_task
from balora.lab.world import World, WorldSettings, build_world
from balora.paths import user_path
from balora.settings import Settings
from balora.strict_json import read_json

Twin = Literal["clean", "flawed"]

TWINS: tuple[Twin, ...] = ("clean", "flawed")
QUESTIONS = "questions.jsonl"
SETTINGS = "settings.json"
"""Written last: a folder without it is not whole."""


class LabSettings(Settings):
    """A world, a task about it, and the tiny models that read its corpora: what `prepare: lab` of a study takes."""

    world: WorldSettings = WorldSettings()
    """The world and the flaws of its corpus."""
    pretraining: PretrainingSettings = PretrainingSettings()
    """The tiny model."""
    task: TaskSettings = TaskSettings()
    """What is fine-tuned. In a study its seed, where it is left out, is the seed of the run."""


@dataclass(frozen=True)
class PreparedWorld:
    """Where everything of a lab lies."""

    settings: LabSettings
    folder: Path
    """Of the files; its name is a hash of the settings."""
    files: TaskFiles
    questions: Path
    """Every question with what is true, what the flawed corpus told, and what the fine-tune is told."""
    models: Mapping[Twin, Path]
    """`clean`, `flawed` -> a transformers folder; those that were asked for."""

    @cached_property
    def world(self) -> World:
        """The world of the flawed corpus; its people, truths and task are those of the clean twin too."""
        return build_world(_twin(self.settings.world, "flawed"))

    @cached_property
    def task(self) -> CityTask:
        """The task."""
        return build_task(self.world, self.settings.task)

    def twin_of(self, model: str | Path) -> Twin:
        """Which corpus a base model read.

        Raises:
            InputError: it is none of this lab's models.
        """
        found = next((twin for twin in TWINS if twin in self.models and _same(self.models[twin], model)), None)
        if found is None:
            known = " or ".join(str(path) for path in self.models.values())
            raise InputError.at(model, "is no model of this lab", f"measure runs that started from {known}")
        return found

    def exam(self, twin: Twin) -> Exam:
        """The questions to a fine-tune of that twin, and which facts the twin knew before."""
        return exam_on(self.models[twin], build_world(_twin(self.settings.world, twin)), self.task)[0]


def exam_on(base: Path, world: World, task: CityTask) -> tuple[Exam, LogitsFunction]:
    """The questions to a fine-tune of the model in a folder, which was pre-trained on that world, and the model."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(base)
    knows = logits_of(model)
    return Exam.of(knows, transformers.AutoTokenizer.from_pretrained(base), world, task), knows


def prepare(
    settings: LabSettings,
    folder: Path | None = None,
    *,
    twins: Sequence[Twin] = TWINS,
    on_step: OnStep | None = None,
) -> PreparedWorld:
    """Write a lab's files and pre-train its models, or find them where they were made before.

    Args:
        settings: the world, its task, the models. Which corpus `world.corpus` names does not matter here.
        folder: where to keep it, by content; left out, `lab` in balora's cache.
        twins: which models are needed.
        on_step: called after every step of a pre-training.

    Raises:
        InputError: the settings contradict each other.
        OutputError: the folder cannot be written.
    """
    root = cache_folder() / "lab" if folder is None else folder
    models = {
        twin: base_model(
            build_world(_twin(settings.world, twin)), settings.pretraining, cache=root, on_step=on_step
        ).folder
        for twin in twins
    }
    document = {
        "format": FORMAT,
        "world": _twin(settings.world, "flawed").model_dump(mode="json"),
        "task": settings.task.model_dump(mode="json"),
    }
    text = json.dumps(document, sort_keys=True, indent=1)
    home = root / f"task-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    if not (home / SETTINGS).is_file():
        world = build_world(_twin(settings.world, "flawed"))
        task = build_task(world, settings.task)
        with staged_folder(home, lambda folder: (folder / SETTINGS).is_file()) as staged:
            write_task(task, staged)
            write_questions(questions_about(world, task), staged / QUESTIONS)
            (staged / SETTINGS).write_text(text + "\n", encoding="utf-8")
    files = TaskFiles(*(home / name for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "truth.json")))
    return PreparedWorld(settings, home, files, home / QUESTIONS, models)


def measure_run(folder: Path, prepared: PreparedWorld) -> LabScores:
    """The scores of a finished run of `balora train` whose base is a model of this lab.

    The adapter is read back with stock PEFT onto the untouched base.

    Raises:
        InputError: the run did not start from this lab, or left no adapter that PEFT reads.
    """
    try:
        record: dict[str, Any] = read_json(folder / "run.json")
        config: dict[str, Any] = read_json(folder / "adapter_config.json")
        base, names = str(record["model"]["name_or_path"]), record["data"]["label_names"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"is not a finished run with an adapter of PEFT's kind ({error})"
        raise InputError.at(folder, what, "name a folder that `balora train` wrote") from None
    twin = prepared.twin_of(base)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(base)
    if config.get("task_type") == "SEQ_CLS":
        model = classifier_on(model, names)
    return prepared.exam(twin).scores(logits_of(PeftModel.from_pretrained(model, folder)))


def _twin(settings: WorldSettings, twin: Twin) -> WorldSettings:
    return settings.model_copy(update={"corpus": twin})


def _same(one: Path, other: str | Path) -> bool:
    return one.resolve() == user_path(other).resolve()
