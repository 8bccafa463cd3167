"""Where a study stands: every run it needs, how each ended, what tuning chose, and the results so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balora.study.jobs import Outcome
from balora.study.metrics import metric_of
from balora.study.plan import Cell, PlannedRun, Planner
from balora.study.results import Metric, Run, RunState, StudyResults
from balora.study.store import RUNS
from balora.study.tuning import Choice, choose, how_tuned


@dataclass(slots=True)
class Board:
    """The state of a study, as far as it is known."""

    planner: Planner
    folder: Path
    metrics: tuple[Metric, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """By identity; only what has ended."""
    running: set[str] = field(default_factory=set)
    sweeps: dict[tuple[str, ...], list[PlannedRun]] = field(default_factory=dict)
    choices: dict[tuple[str, ...], Choice] = field(default_factory=dict)
    finals: dict[tuple[int, int], PlannedRun] = field(default_factory=dict)
    """By position of cell and seed; a cell is missing while its sweep is under way."""

    def __post_init__(self) -> None:
        """Plan what can be planned before the first result."""
        self.sweeps = self.planner.sweeps()
        if not self.sweeps:
            for at in range(len(self.planner.cells)):
                self._plan_finals(at, {})

    def run_folder(self, identity: str) -> Path:
        """Where a run is written."""
        return self.folder / RUNS / identity

    def settle(self) -> None:
        """Choose for every sweep that is over, and plan the runs that follow."""
        tune = self.planner.study.settings.tune
        if tune is None:
            return
        metric = self._decides()
        for group, runs in self.sweeps.items():
            if group in self.choices or any(run.identity not in self.outcomes for run in runs):
                continue
            choice = choose(", ".join(group), runs, self.outcomes, tune, metric)
            self.choices[group] = choice
            if choice.values is not None:
                for at, cell in enumerate(self.planner.cells):
                    if self.planner.group_of(cell) == group:
                        self._plan_finals(at, choice.values)

    def _decides(self) -> Metric:
        """The score by which sweeps choose."""
        tune = self.planner.study.settings.tune
        metric = metric_of(tune.by) if tune is not None and tune.by is not None else self.metrics[0]
        return next((each for each in self.metrics if each.key == metric.key), metric)

    def _plan_finals(self, at: int, chosen: Mapping[str, Any]) -> None:
        for position, run in enumerate(self.planner.finals([self.planner.cells[at]], chosen)):
            self.finals[at, position] = run

    def known_runs(self) -> list[PlannedRun]:
        """Sweeps, then final runs seed by seed, so that compared things take turns; each identity once."""
        found: dict[str, PlannedRun] = {}
        for runs in self.sweeps.values():
            for run in runs:
                found.setdefault(run.identity, run)
        for _, run in sorted(self.finals.items(), key=lambda item: (item[0][1], item[0][0])):
            found.setdefault(run.identity, run)
        return list(found.values())

    def total(self) -> int:
        """How many runs the study needs, those included that wait for tuning; those that coincide count once."""
        seeds = len(self.planner.study.settings.seed_list)
        unplanned = sum(
            (at, 0) not in self.finals and self._choice_of(cell) is None for at, cell in enumerate(self.planner.cells)
        )
        return len(self.known_runs()) + seeds * unplanned

    def _choice_of(self, cell: Cell) -> Choice | None:
        return self.choices.get(self.planner.group_of(cell))

    def notes(self) -> list[str]:
        """What a reader of the results should know, in the order of the file."""
        notes = [note for group in self.sweeps if group in self.choices for note in self.choices[group].notes]
        tune, settings = self.planner.study.settings.tune, self.planner.study.settings
        if tune is not None and tune.split == "validation" and any(m.key.startswith("eval_") for m in settings.metrics):
            notes.append("settings were chosen on the validation split that the runs are reported on")
        if self.all_ended():
            measured = {key for run in self.finals.values() for key in self.outcomes[run.identity].scores}
            silent = [metric.key for metric in self.metrics if metric.key not in measured]
            notes += [f"no run has a score '{key}'" for key in silent if not key.startswith("cost.")]
        return notes

    def all_ended(self) -> bool:
        """Whether nothing is left to do."""
        return not any(run.state in ("waiting", "running", "interrupted") for run in self.runs())

    def runs(self) -> Iterator[Run]:
        """Every run with its place in the study: sweeps, then final runs in the order of the axes and seeds."""
        for runs in self.sweeps.values():
            yield from (self._as_run(run) for run in runs)
        for at, cell in enumerate(self.planner.cells):
            for position, seed in enumerate(self.planner.study.settings.seed_list):
                planned = self.finals.get((at, position))
                if planned is not None:
                    yield self._as_run(planned)
                    continue
                choice = self._choice_of(cell)
                state: RunState = "waiting" if choice is None else "failed"
                error = None if choice is None else choice.error
                yield Run("", cell.labels, seed, "final", state, None, error=error)

    def _as_run(self, run: PlannedRun) -> Run:
        outcome, folder = self.outcomes.get(run.identity), self.run_folder(run.identity)
        state: RunState
        if outcome is not None:
            state = outcome.state
        elif run.identity in self.running:
            state = "running"
        else:
            state = "interrupted" if folder.is_dir() else "waiting"
        return Run(
            identity=run.identity,
            levels=run.cell.labels,
            seed=run.seed,
            stage=run.stage,
            state=state,
            folder=folder,
            scores={} if outcome is None else {**outcome.scores, **outcome.costs},
            chosen=run.chosen,
            error=None if outcome is None else outcome.error,
        )

    def results(self) -> StudyResults:
        """The results as they stand."""
        study = self.planner.study
        settings = study.settings
        return StudyResults(
            name=settings.name,
            title=settings.title or settings.name,
            description=settings.description.strip(),
            folder=self.folder,
            axes={axis.name: axis.labels for axis in study.axes},
            seeds=settings.seed_list,
            metrics=self.metrics,
            compare=study.compare,
            baseline=settings.baseline,
            tuned=tuple(settings.tune.keys) if settings.tune is not None else (),
            runs=tuple(self.runs()),
            tables=tuple(settings.tables),
            figures=tuple(settings.figures),
            published=tuple(settings.published),
            notes=tuple(self.notes()),
            tuning=how_tuned(self.planner, self._decides()),
            options=study.options,
        )
