"""The keys of a study file, apart from its base recipe and its axes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from balora.auditing import AuditSettings
from balora.auditing.settings import PARTS
from balora.errors import did_you_mean
from balora.evaluation.settings import ScoringSettings
from balora.settings import Settings
from balora.study.metrics import metric_of
from balora.study.published import one_by_one
from balora.study.results import Direction, Metric

MOST_RUNS = 100_000
"""Of one study. Every run is checked before the first begins and keeps a folder of its own."""

Seed = StrictInt
"""A whole number; `true` is none, nor is 1.0."""

AUDIT_ARGUMENTS = ("base", "data", "general_text", "other_tasks", "task_data", "only")
"""Keys of `audit` that are arguments of `balora.audit`; the others are its settings."""


class TuneSettings(Settings):
    """A sweep that every level of the compared axis gets, with the same budget, before the seeds run."""

    keys: dict[str, list[Any]]
    """Recipe key -> the values that are tried; several keys are crossed."""
    split: float | str | None = None
    """Where settings are chosen: a share of the training rows, held out of training; a validation file or split; or
    the word `validation` for the recipe's own validation split. Left out: a tenth of the training rows, or the lab's
    own validation split where `by` is lab.validation_accuracy."""
    seeds: list[Seed] | None = None
    """Seeds of the sweep; the mean over them decides. Left out: the study's first seed."""
    by: str | None = None
    """The score that decides. Left out: the study's first metric."""
    per: list[str] | None = None
    """Axes whose every combination of levels gets a sweep of its own; the other axes stand at their first level.
    Left out: all axes."""

    @field_validator("keys", mode="after")
    @classmethod
    def _check_keys(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, values in value.items():
            if len(values) < 2:
                raise ValueError(f"{key} has {len(values)} value; expected at least 2 to choose from")
        if not value:
            raise ValueError("keys is empty; name a recipe key, for example training.learning_rate: [1e-4, 3e-4]")
        return value

    @field_validator("split", mode="after")
    @classmethod
    def _check_split(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, int | float) and not 0 < value < 1:
            raise ValueError(f"split is {value:g}; expected a share between 0 and 1, a file, or the word validation")
        return value


class BudgetSettings(Settings):
    """What one run may cost at most; the same for every run, those of a sweep included."""

    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; sets training.max_steps."""
    time_s: float | None = Field(default=None, gt=0)
    """Wall time of a run, over all its legs; a run that takes longer has failed."""


class ResourceSettings(Settings):
    """What one run gets of the machine. Fixed per run, so that numbers do not depend on how many run at once."""

    threads: int | None = Field(default=None, ge=1)
    """CPU threads of a run. Left out: 1 on the CPU; with GPUs, the cores shared out."""
    gpus: Literal["auto"] | float = "auto"
    """GPUs of a run: `auto` is one where there is any; 0 keeps runs on the CPU; Ray takes fractions."""
    retries: int = Field(default=2, ge=0)
    """Ray: how often a run is started again when its node dies."""


class EvaluateSettings(Settings):
    """One call of `balora evaluate` on every finished run of the final stage; its scores are `<suite>.<score>`."""

    suites: list[str]
    """Names of suites, as in `balora evaluate --suite`."""
    data: Path | None = None
    """A file, or a folder that holds the suites' files."""
    base: bool = False
    """Score the untouched base too: `<suite>.<score>.base` and `<suite>.<score>.difference`."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first items of each suite."""
    settings: ScoringSettings = ScoringSettings()
    """How answers are made and judged."""
    only: dict[str, str | list[str]] = Field(default_factory=dict)
    """Axis -> the level or levels whose runs are scored. Left out: all."""

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether a run at these levels is scored."""
        return all(
            labels.get(axis) in ([wanted] if isinstance(wanted, str) else wanted) for axis, wanted in self.only.items()
        )


class MetricSettings(Settings):
    """One measured quantity; what is left out follows from the key."""

    key: str
    """Where a run's scores hold it: eval_matthews, lab.task_accuracy, audit.drift.kl, ..."""
    title: str | None = None
    """How tables call it."""
    better: Direction | None = None
    """Which way is better: `higher`, `lower`, or `closer` to `ideal`."""
    ideal: float | None = None
    """Where `closer` is better: the best value, as runs measure it. Left out: what the key tells, else 0."""
    scale: float | None = None
    """What a shown number is multiplied by."""
    digits: int | None = Field(default=None, ge=0, le=10)
    """Decimal places of a shown number."""
    unit: str | None = None
    """What stands behind a shown number."""

    @model_validator(mode="after")
    def _ideal_is_for_closer(self) -> Self:
        if self.ideal is not None and self.better not in (None, "closer"):
            raise ValueError(f"ideal is for better: closer, but better is {self.better}; remove one of the two")
        return self

    def as_metric(self) -> Metric:
        """The metric, filled up with what its key tells."""
        given = self.model_dump(exclude={"key"}, exclude_none=True)
        return metric_of(self.key, given)


class StudySettings(Settings):
    """Everything in a study file but `base`, `axes`, `prepare` and `profiles`, which need the recipe's eyes."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    """What the study is called: letters, digits, dots, dashes; also its folder."""
    title: str = ""
    """Headline of the report. Left out: the name."""
    description: str = ""
    """What the study asks, in a paragraph."""
    exclude: list[dict[str, str | list[str]]] = Field(default_factory=list)
    """Combinations to leave out: axis -> label or labels; every axis that is named has to match."""
    seeds: Seed | list[Seed] = 3
    """Seeds of the final runs; a number n stands for 0 to n-1."""
    compare: str | None = None
    """The axis whose levels are compared. Left out: `method`, else the first axis."""
    baseline: str | None = None
    """The level of that axis that paired tests compare with."""
    metrics: list[MetricSettings] = Field(default_factory=list)
    """What is reported; the first decides. Left out: the lab's, or the usual ones of the task."""
    tune: TuneSettings | None = None
    """A sweep for each compared thing before the final runs."""
    budget: BudgetSettings = BudgetSettings()
    """What one run may cost."""
    resources: ResourceSettings = ResourceSettings()
    """What one run gets of the machine."""
    evaluate: list[EvaluateSettings] = Field(default_factory=list)
    """Suites that finished runs are scored on."""
    audit: dict[str, Any] | None = None
    """The audit of finished runs: arguments of `balora.audit` (general_text, only, ...) and its settings (max_rows,
    ...); its numbers are `audit.<chapter>.<score>`. `{}` takes all as it is."""
    keep_checkpoints: bool = False
    """Keep the checkpoints of finished runs; the adapter itself always stays."""
    tables: list[dict[str, Any]] = Field(default_factory=list)
    """Tables of the report."""
    figures: list[dict[str, Any]] = Field(default_factory=list)
    """Figures of the report."""
    published: list[dict[str, Any]] = Field(default_factory=list)
    """Numbers of a paper to stand beside ours, one by one or as tables; see `balora.study.published`."""

    @field_validator("audit", mode="after")
    @classmethod
    def _check_audit(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        known = (*AUDIT_ARGUMENTS, *AuditSettings.model_fields)
        for key in value or {}:
            if key not in known:
                raise ValueError(f"audit has no setting '{key}'; {did_you_mean(key, known)}")
        for part in (value or {}).get("only", ()):
            if part not in PARTS:
                raise ValueError(f"audit has no chapter '{part}'; {did_you_mean(str(part), PARTS)}")
        AuditSettings.model_validate({key: each for key, each in (value or {}).items() if key not in AUDIT_ARGUMENTS})
        return value

    @field_validator("metrics", mode="before")
    @classmethod
    def _accept_keys(cls, value: Any) -> Any:
        return (
            [{"key": each} if isinstance(each, str) else each for each in value] if isinstance(value, list) else value
        )

    @field_validator("published", mode="before")
    @classmethod
    def _accept_tables(cls, value: Any) -> Any:
        return one_by_one(value) if isinstance(value, list) else value

    @field_validator("evaluate", mode="before")
    @classmethod
    def _accept_suites(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"suites": [each]} if isinstance(each, str) else each for each in value]

    @field_validator("seeds", mode="after")
    @classmethod
    def _check_seeds(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, int):
            if value < 1:
                raise ValueError(f"seeds is {value}; expected 1 or more, or a list of seeds")
            if value > MOST_RUNS:
                raise ValueError(f"seeds is {value}; expected at most {MOST_RUNS}, or a list of seeds")
            return value
        if not value or len(set(value)) < len(value) or min(value) < 0:
            raise ValueError(f"seeds is {value}; expected different whole numbers from 0 on")
        return value

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds one by one."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)
