"""What a study found: every run with its place in the grid, its scores, its costs and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

RunState = Literal["waiting", "running", "interrupted", "failed", "done"]
Stage = Literal["tune", "final"]
Direction = Literal["higher", "lower", "closer"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity of a run."""

    key: str
    """Where a run's scores hold it, like `eval_accuracy` or `audit.drift.kl_nats_per_token`."""
    title: str
    """How tables and figures call it."""
    better: Direction
    """`closer`: the closer to `ideal`, on whichever side."""
    scale: float = 1.0
    """What a shown number is multiplied by: 100 for percent."""
    digits: int = 2
    """Decimal places of a shown number."""
    unit: str = ""
    ideal: float | None = None
    """Where `closer` is better: the best value there is, as runs measure it: 0 of a gap, 50 of a share of pairs."""

    def compared(self, value: float, *, shown: bool = True) -> float:
        """What a value is compared by: itself, or its distance to the ideal.

        Args:
            value: of one run.
            shown: whether it is multiplied by `scale` already.

        >>> gap = Metric("lab.stereotype_gap", "stereotype gap", "closer", ideal=0.0)
        >>> gap.compared(-0.2), Metric("a", "a", "lower").compared(-0.2)
        (0.2, -0.2)
        """
        if self.better != "closer":
            return value
        return abs(value - (self.ideal or 0.0) * (self.scale if shown else 1.0))

    @property
    def distance(self) -> Metric:
        """Where `closer` is better, the distance to the ideal as a metric of its own: what an average is taken of.

        >>> metric = Metric("a", "share", "closer", scale=100, ideal=0.5).distance
        >>> metric.title, metric.better
        ('share: distance to 50', 'lower')
        """
        if self.better != "closer":
            return self
        title = f"{self.title}: distance to {self.direction.removeprefix('closer to ')}"
        return replace(self, title=title, better="lower", ideal=None)

    @property
    def sign(self) -> int:
        """1 where more of what is compared is better, -1 where less is."""
        return 1 if self.better == "higher" else -1

    @property
    def direction(self) -> str:
        """Which way is better, in words.

        >>> Metric("a", "a", "higher").direction, Metric("a", "a", "closer", scale=100, ideal=0.5).direction
        ('higher', 'closer to 50')
        """
        return f"closer to {(self.ideal or 0.0) * self.scale:g}" if self.better == "closer" else self.better


@dataclass(frozen=True, slots=True)
class Run:
    """One fine-tune of a study."""

    identity: str
    """Content address: the same for the same resolved recipe, data and evaluation."""
    levels: Mapping[str, str]
    """Axis -> the label of its level, in the order of the study's axes."""
    seed: int
    stage: Stage
    """Whether it chose settings on a validation split or counts in the tables."""
    state: RunState
    folder: Path | None
    """The run folder, with `recipe.resolved.yaml`, `run.json`, `metrics.jsonl`, `all_results.json`, `audit.json`."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Metric key -> value; only those that were measured and are finite. Those of `cost.` tell what a run took on the
    machine that it ran on, and differ when it is done again."""
    chosen: Mapping[str, Any] = field(default_factory=dict)
    """Recipe key -> the value that tuning chose for it; of a tuning run, the value that it tried."""
    error: str | None = None
    """Why it failed: the message a person would have read."""


@dataclass(frozen=True, slots=True)
class StudyResults:
    """A study's runs, and what is needed to compare them."""

    name: str
    title: str
    description: str
    folder: Path
    axes: Mapping[str, tuple[str, ...]]
    """Axis -> the labels of its levels, in the file's order."""
    seeds: tuple[int, ...]
    metrics: tuple[Metric, ...]
    """The first is the one that tuning and summaries go by."""
    compare: str
    """The axis whose levels are the things compared, like `method`."""
    baseline: str | None
    """The level of that axis which paired tests compare the others with."""
    tuned: tuple[str, ...]
    """Recipe keys that each level of the compared axis chose by its own sweep; empty: one shared setting."""
    runs: tuple[Run, ...]
    tables: tuple[Mapping[str, Any], ...] = ()
    """How the study file wants its tables laid out."""
    figures: tuple[Mapping[str, Any], ...] = ()
    """Which figures the study file wants."""
    published: tuple[Mapping[str, Any], ...] = ()
    """Numbers of a paper to stand beside ours: levels, metric key, value, deviation, source."""
    notes: tuple[str, ...] = ()
    """What a reader should know: a tuned value at the edge of its sweep, a metric that no run has."""
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """How settings were chosen: `by`, the key of the score that decided; `split`, the rows it was measured on;
    `tries`, candidates of each sweep; `seeds` of each candidate; `per`, the axes whose combinations had a sweep of
    their own, or None for all. Empty where nothing was tuned, and for studies written before this was kept."""
    options: str = ""
    """What stood behind the study file on the command line: its profile and its changes."""
