"""Carrying out a study: what is done already is kept, the rest is given to an engine, results grow as runs end."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from balora.cache import cache_folder
from balora.errors import RecipeError, StoppedError
from balora.recipe import dump_recipe
from balora.streams import stderr_console
from balora.study.board import Board
from balora.study.carry_out import read_outcome
from balora.study.document import Study, load_study
from balora.study.engines.choice import make_engine
from balora.study.folder import (
    FINGERPRINTS,
    LOGS,
    SHARED,
    check_folder,
    folder_of,
    open_folder,
    take_stock,
    write_failure,
    write_index,
)
from balora.study.hold import held_study
from balora.study.identity import Fingerprints
from balora.study.jobs import Engine, Job, Outcome
from balora.study.metrics import check_metrics, metrics_of
from balora.study.plan import PlannedRun, Planner
from balora.study.progress import StudyProgress
from balora.study.results import StudyResults
from balora.study.store import fetch_done
from balora.study.storing import write_results

EngineName = Literal["local", "ray"]


def run_study(
    study: Study | Path | str,
    *,
    folder: Path | str | None = None,
    engine: EngineName = "local",
    jobs: int | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    address: str | None = None,
    store: str | None = None,
    keep_failed: bool = False,
    show_progress: bool = True,
) -> StudyResults:
    """Carry out a study, or what of it is not done yet.

    Every run is known by the content of its recipe, data and measurements: runs that are done are never repeated, those
    that were interrupted go on from their checkpoint, those that failed are tried again. The numbers do not depend on
    how many runs work at once, nor on the engine.

    Args:
        study: a study file, the name of a shipped study, or what `load_study` gave.
        folder: where it is written; left out, `studies/<name>`.
        engine: `local` processes of this machine, or a `ray` cluster.
        jobs: runs at once; left out, what the machine or the cluster holds.
        profile: one of the study's profiles.
        overrides: changes `key=value`, with the keys of a profile.
        address: Ray: the cluster; left out, a local one is started.
        store: fsspec URL to which finished runs are copied, and from which they are fetched where they are missing.
        keep_failed: do not try failed runs again.
        show_progress: a line on stderr for each run that ends.

    Returns:
        The results, failed runs included.

    Raises:
        InputError: the study, its data or the folder is wrong, or another launcher is at work; nothing was written.
        StoppedError: Ctrl-C or SIGTERM; the same call goes on.
    """
    loaded = study if isinstance(study, Study) else load_study(study, profile, overrides)
    where = folder_of(loaded, None if folder is None else Path(folder))
    check_folder(where, loaded)
    board = plan_board(loaded, where)
    make = make_engine(engine, loaded, where, jobs=jobs, address=address, store=store)
    open_folder(where, loaded)
    with held_study(where):
        launch = _Launch(board, where, store, stderr_console() if show_progress else None)
        launch.take_stock(keep_failed=keep_failed)
        if launch.has_work():
            with _ended(make()) as started:
                launch.work(started)
        return launch.finish()


def plan_board(study: Study, folder: Path) -> Board:
    """Everything that the study needs, before anything is written.

    Raises:
        RecipeError: with every problem of every combination of levels.
    """
    shared = folder / SHARED
    planner = Planner(study, shared, Fingerprints.remembered(shared / FINGERPRINTS))
    planned = planner.check()
    metrics = metrics_of(study.settings, planned[0].recipe, has_lab=study.has_lab)
    problems = list(check_metrics(study.settings, metrics, planned[0].recipe, origin=study.origin))
    if problems:
        raise RecipeError(problems)
    return Board(planner, folder, metrics)


class _Launch:
    """One launch of a study."""

    def __init__(self, board: Board, folder: Path, store: str | None, console: Console | None) -> None:
        self.board, self.folder, self.store = board, folder, store
        self.progress = StudyProgress(console, board.metrics, slots=1)
        self.under_way: dict[str, PlannedRun | Job] = {}
        self.prepared: set[str] = set()
        """Lab models that are made, here or where runs are carried out."""
        self.threads = 1
        self.not_prepared: dict[str, str] = {}
        """Lab model -> why it could not be made."""

    def take_stock(self, *, keep_failed: bool) -> None:
        if self.store is not None:
            fetch_done(self.store, self.folder, [run.identity for run in self.board.known_runs()])
        take_stock(self.board, keep_failed=keep_failed)
        done, total = len(self._ended_identities()), self.board.total()
        known = f", {done} done already" if done else ""
        self.progress.say(f"study {self.board.planner.study.settings.name}: {total} runs{known}, in {self.folder}")
        self._write()

    def has_work(self) -> bool:
        return any(run.identity not in self.board.outcomes for run in self.board.known_runs())

    def work(self, engine: Engine) -> None:
        """Give the engine what is ready until nothing is left."""
        self.progress.slots, self.threads = engine.slots, engine.threads
        while True:
            while len(self.under_way) < engine.slots and (job := self._next_job()) is not None:
                engine.start(job)
                self._write()
            if not self.under_way:
                return
            self._take(engine.wait())

    def finish(self) -> StudyResults:
        self._write()
        write_index(self.board)
        self.board.planner.fingerprints.write(self.folder / SHARED / FINGERPRINTS)
        for note in self.board.notes():
            self.progress.say(f"note: {note}")
        return self.board.results()

    def _next_job(self) -> Job | None:
        """The next run that can begin, or the preparation that it waits for."""
        busy_labs = {job.identity for job in self.under_way.values() if isinstance(job, Job)}
        for run in self.board.known_runs():
            if run.identity in self.board.outcomes or run.identity in self.under_way:
                continue
            name = "" if run.lab is None else run.lab.model.name
            if run.lab is not None and name not in self.prepared and not run.lab.is_made:
                if name in self.not_prepared:
                    self._end(run, Outcome(run.identity, "failed", error=f"its lab: {self.not_prepared[name]}"))
                    return self._next_job()
                if name not in busy_labs:
                    job = self._preparation(name)
                    self.under_way[name] = job
                    return job
                continue
            self.under_way[run.identity] = run
            self.board.running.add(run.identity)
            return self._job(run)
        return None

    def _preparation(self, name: str) -> Job:
        """Make a model and every task that goes with it, in one go."""
        labs = {str(run.lab.task): run.lab for run in self.board.known_runs() if run.lab and run.lab.model.name == name}
        details = {
            "labs": [lab.as_json() for lab in labs.values()],
            "cache": str(cache_folder() / "lab"),
            "threads": 1,
            "log": str(self.folder / LOGS / f"{name}.txt"),
        }
        return Job(name, "prepare", f"lab {name}", details)

    def _job(self, run: PlannedRun) -> Job:
        settings = self.board.planner.study.settings
        details: dict[str, Any] = {
            "recipe": dump_recipe(run.recipe),
            "folder": str(self.board.run_folder(run.identity)),
            "log": str(self.folder / LOGS / f"{run.identity}.txt"),
            "training": run.training,
            "measures": dict(run.measures),
            "lab": None if run.lab is None else run.lab.as_json(),
            "threads": self.threads,
            "keep_checkpoints": settings.keep_checkpoints,
            "cache": str(cache_folder() / "lab"),
            "store": self.store,
        }
        return Job(run.identity, "run", str(run), details, settings.budget.time_s)

    def _take(self, outcome: Outcome) -> None:
        what = self.under_way.pop(outcome.identity)
        if isinstance(what, Job):
            if outcome.state == "done":
                self.prepared.add(outcome.identity)
                self.progress.say(f"prepared {what.title}, {outcome.seconds:.0f} s")
            else:
                self.not_prepared[outcome.identity] = outcome.error or "interrupted"
            return
        self.board.running.discard(outcome.identity)
        if outcome.state == "done":
            outcome = self._brought_here(outcome)
        self._end(what, outcome)

    def _brought_here(self, outcome: Outcome) -> Outcome:
        """The outcome of a run whose folder is here, fetched from the store where it was carried out elsewhere."""
        if read_outcome(self.board.run_folder(outcome.identity), outcome.identity) is not None:
            return outcome
        if self.store is not None and fetch_done(self.store, self.folder, [outcome.identity]):
            return outcome
        error = "its folder was written on another machine; put --folder on a shared path, or add --store"
        return replace(outcome, state="failed", error=error)

    def _end(self, run: PlannedRun, outcome: Outcome) -> None:
        if outcome.state == "interrupted":
            outcome = replace(outcome, state="failed", error="its process was told to stop")
        if outcome.state == "failed":
            write_failure(self.folder, outcome)
        self.board.outcomes[run.identity] = outcome
        self.board.settle()
        title = f"tuning {run}" if run.stage == "tune" else str(run)
        self.progress.ended(title, outcome, done=len(self._ended_identities()), total=self.board.total())
        self._write()

    def _ended_identities(self) -> set[str]:
        return {run.identity for run in self.board.known_runs() if run.identity in self.board.outcomes}

    def _write(self) -> None:
        write_results(self.board.results())


@contextmanager
def _ended(engine: Engine) -> Iterator[Engine]:
    """The engine, and its processes gone afterwards; an interruption lets runs write their checkpoints first."""
    try:
        yield engine
    except (KeyboardInterrupt, SystemExit) as stop:
        try:
            engine.close()
        except (KeyboardInterrupt, SystemExit):
            engine.close(at_once=True)
        number = signal.SIGTERM if isinstance(stop, SystemExit) else signal.SIGINT
        raise StoppedError(number, "stopped; the same command goes on where it was") from stop
    except BaseException:
        engine.close(at_once=True)
        raise
    engine.close()
