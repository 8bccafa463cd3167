"""The typed recipe: what a run is, composed of the settings that live beside the code that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from balora.adapters.registry import METHODS
from balora.adapters.settings import AdapterConfig
from balora.artefacts.settings import OutputSettings
from balora.data.presets import preset_named
from balora.data.settings import DataSettings
from balora.errors import DataError, InputError
from balora.evaluation.metrics import METRICS, check_metric_names
from balora.evaluation.settings import EvaluationSettings
from balora.losses.settings import Form
from balora.models.settings import ModelSettings
from balora.settings import Settings
from balora.task import Task
from balora.training.argument_fields import LARGEST_SEED, nearest_choice, shown
from balora.training.arguments import resolve_training_arguments
from balora.training.config import BALoraConfig
from balora.training.defaults import missing_training_settings
from balora.training.evaluation_schedule import schedule_conflicts

FORM_OF_TASK: Mapping[str, Form] = MappingProxyType({"classification": "nlu", "regression": "nlu", "generation": "nlg"})
"""Which equations a task uses."""

REGULARIZER_WORDS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "paper": MappingProxyType({}),
        "none": MappingProxyType({"consistency_weight": 0.0, "diversity_weight": 0.0, "spectral_weight": 0.0}),
    }
)
"""A word in place of the section `regularizers` -> the settings it stands for."""

_GENERATION_FORMATS = {"prompt_completion", "alpaca", "query_response", "messages"}
_GENERATION_ROLES = {"prompt", "completion", "instruction", "output", "query", "response", "messages"}


class Recipe(Settings):
    """One fine-tuning run, from the pretrained model to the run folder.

    `task` may be left out where the data tell: a GLUE preset, or a format or columns of prompts and answers.
    `regularizers` may be the word `paper` (the paper's values) or `none` (plain fine-tuning).

    >>> recipe = Recipe(model={"name_or_path": "m"}, data={"preset": "stsb", "train": "train.tsv"})
    >>> recipe.task, recipe.regularizers.form
    ('regression', 'nlu')
    """

    aliases: ClassVar[Mapping[str, str]] = {"regularisers": "regularizers", "regularizer": "regularizers"}

    task: Task
    """What the model learns to output: a class, a number, or text. Left out: what the data settings imply."""
    model: ModelSettings
    """The pretrained model."""
    data: DataSettings
    """The examples."""
    adapter: AdapterConfig = AdapterConfig()
    """How the model is adapted."""
    regularizers: BALoraConfig = Field(default_factory=BALoraConfig)
    """BA-LoRA's three terms and their teacher; or the word `paper` for the paper's values, `none` for no term."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields of transformers.TrainingArguments under their own names. Left out: learning rate 3e-4 (classification and
    regression), 2e-5 (generation, or `method: full`), 3 epochs, batch 8; the rest as in transformers."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """Which scores are computed on the validation split."""
    output: OutputSettings = OutputSettings()
    """Where the run is written."""

    @model_validator(mode="before")
    @classmethod
    def _follow_task(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = cls.with_field_names(data)
        if filled.get("task") is None:
            filled.pop("task", None)
            implied = implied_task(filled.get("data"))
            filled |= {"task": implied} if implied else {}
        form = FORM_OF_TASK.get(str(filled.get("task")))
        given = filled.get("regularizers", {})
        if isinstance(given, str):
            given = REGULARIZER_WORDS.get(given, given)
        if isinstance(given, Mapping):
            for name in ("form", "formulation"):
                if isinstance(given.get(name), list | Mapping):
                    raise ValueError(f"regularizers.{name} is {shown(given[name])}; expected text")
            given = {"form": form, **given} if form is not None else given
        return {**filled, "regularizers": given}

    @field_validator("data", mode="after")
    @classmethod
    def _check_preset(cls, value: DataSettings, info: ValidationInfo) -> DataSettings:
        task = info.data.get("task")
        if value.preset is not None and task is not None:
            as_words = task == "generation" and value.label_words is not None
            try:
                preset_named(value.preset, "classification" if as_words else task)
            except InputError as error:
                raise _about("preset", error) from None
        return value

    @field_validator("adapter", mode="after")
    @classmethod
    def _check_method(cls, value: AdapterConfig) -> AdapterConfig:
        if value.method not in METHODS:
            raise ValueError(f"method is '{value.method}'; {nearest_choice(value.method, METHODS)}")
        if not 0 <= value.seed <= LARGEST_SEED:
            raise ValueError(f"seed is {shown(value.seed)}; expected a whole number from 0 to {LARGEST_SEED}")
        return value

    @field_validator("regularizers", mode="after")
    @classmethod
    def _check_form(cls, value: BALoraConfig, info: ValidationInfo) -> BALoraConfig:
        task = info.data.get("task")
        if task is not None and value.form != FORM_OF_TASK[task]:
            raise ValueError(
                f"form is '{value.form}', but task {task} uses '{FORM_OF_TASK[task]}'; remove it, it follows the task"
            )
        if task == "generation" and value.teacher_head != "initial":
            head = value.teacher_head
            raise ValueError(f"teacher_head is '{head}', which is for classification and regression; leave it out")
        return value

    @field_validator("training", mode="after")
    @classmethod
    def _fill_training(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        given = resolve_training_arguments(value).values
        task, adapter = info.data.get("task"), info.data.get("adapter")
        if task is None or adapter is None:
            return value
        return value | missing_training_settings(given, task, full=adapter.method == "full")

    @field_validator("evaluation", mode="after")
    @classmethod
    def _check_metrics(cls, value: EvaluationSettings, info: ValidationInfo) -> EvaluationSettings:
        task = info.data.get("task")
        if value.metrics is not None and task is not None:
            try:
                check_metric_names(value.metrics, task)
            except InputError as error:
                raise _about("metrics", error) from None
        return value

    @model_validator(mode="after")
    def _check_evaluation_schedule(self) -> Self:
        best = self.evaluation.keep_best
        known = ["loss", *(self.evaluation.metrics or [m.name for m in METRICS.values() if m.task == self.task])]
        if best is not None and best.removeprefix("eval_") not in known:
            raise ValueError(f"evaluation.keep_best is '{best}'; {nearest_choice(best, known)}")
        for problem in schedule_conflicts(self.evaluation, resolve_training_arguments(self.training).values):
            raise ValueError(f"{problem.where}: {problem.what}; {problem.fix}")
        return self

    @model_validator(mode="after")
    def _check_evaluation_batch(self) -> Self:
        one, other = self.evaluation.batch_size, self.training.get("per_device_eval_batch_size")
        if one is not None and other is not None and one != other:
            raise ValueError(
                f"evaluation.batch_size is {one}, but training.per_device_eval_batch_size is {other}; keep one of them"
            )
        return self


def _about(field: str, error: InputError) -> ValueError:
    """The first problem of another room, as pydantic carries it."""
    problem = error.problems[0]
    return ValueError(f"{field}: {problem.what}; {problem.fix}")


def implied_task(data: Any) -> Task | None:
    """The task that the section `data` implies, or None where it could be more than one.

    >>> implied_task({"preset": "cola"}), implied_task({"format": "alpaca"}), implied_task({"train": "a.csv"})
    ('classification', 'generation', None)
    """
    settings: Any = data.model_dump() if isinstance(data, DataSettings) else data
    if not isinstance(settings, Mapping):
        return None
    if settings.get("label_words"):
        return "generation"
    preset = settings.get("preset")
    if isinstance(preset, str):
        tasks = tasks_of_preset(preset)
        return tasks[0] if len(tasks) == 1 else None
    columns = settings.get("columns")
    roles = set(columns) if isinstance(columns, Mapping) else set()
    if settings.get("format") in _GENERATION_FORMATS or roles & _GENERATION_ROLES:
        return "generation"
    if "score" in roles:
        return "regression"
    return "classification" if "label" in roles else None


def tasks_of_preset(name: str) -> list[Task]:
    """The tasks that a data preset can be; none where no preset has that name."""
    tasks: list[Task] = []
    for task in get_args(Task):
        with suppress(DataError):
            preset_named(name, task)
            tasks.append(task)
    return tasks
