"""The demonstration from start to end: build, fine-tune, measure, report."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.demo.bench import Bench, Run, TrainFunction
from balora.demo.plan import METHODS, DemoPlan, full_plan, quick_plan
from balora.demo.report import best_learning_rates, table
from balora.demo.stages import Stages
from balora.demo.words import LEGEND, caution, in_words, introduction
from balora.errors import InputError, OutputError
from balora.lab import base_model, build_world
from balora.recipe import Recipe
from balora.run import RunResult
from balora.run import train as train_recipe

LINE_WIDTH = 110
"""Characters of a line of prose, about those of the table."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demonstration found."""

    table: str
    """Plain text: one line per method and learning rate, and what it shows in words."""
    record: dict[str, Any]
    """Every setting and number, ready for JSON; a score with nothing to count is NaN."""
    folder: Path
    """Task files, run folders, `demo.json` and `table.txt`."""


def run_demo(
    *, folder: Path | None = None, quick: bool = False, seeds: int = 3, show_progress: bool = True
) -> DemoResult:
    """Pre-train a tiny model on a small flawed world, fine-tune it by three methods, and compare what they did.

    The model comes from the cache when it was made before. Everything else is written into the folder; each fine-tune
    goes through an ordinary recipe, and its adapter is read back with PEFT onto the unchanged model before it is
    measured.

    Args:
        folder: where to write; must not exist yet, or be empty. Left out: the first free one of `runs/demo`,
            `runs/demo-2`, ...
        quick: a smaller world with one seed and one learning rate.
        seeds: how many times each method is fine-tuned at each learning rate; `quick` always does one.
        show_progress: show on stderr how far it is.

    Returns:
        The table, the record and the folder.

    Raises:
        InputError: seeds below 1, or a folder that holds something or cannot be written; nothing was written then.
    """
    if seeds < 1:
        raise InputError.at("seeds", f"is {seeds}; expected 1 or more", "leave it out for 3")
    return compare(
        quick_plan() if quick else full_plan(seeds),
        free_folder(Path("runs") / "demo") if folder is None else folder.expanduser(),
        train=train_quietly,
        console=Console(stderr=True) if show_progress else None,
    )


def train_quietly(recipe: Recipe) -> RunResult:
    """One fine-tune through the ordinary path, without a progress line of its own."""
    return train_recipe(recipe, show_progress=False)


def free_folder(wanted: Path) -> Path:
    """The first of `wanted`, `wanted`-2, `wanted`-3, ... that does not exist."""
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def compare(plan: DemoPlan, folder: Path, *, train: TrainFunction, console: Console | None = None) -> DemoResult:
    """Carry out a plan; `train` makes the run folder of each recipe, `console` shows how far it is.

    Raises:
        OutputError: when the folder holds something already, or cannot be written.
    """
    make_folder(folder)
    began = time.perf_counter()
    world = build_world(plan.world)
    with _one_thread(), _quiet_transformers(), Stages(console) as stages:
        base = base_model(
            world, plan.pretraining, on_step=lambda done, total, _: stages.report("pre-training", done, total)
        )
        bench = Bench.of(world, base, plan, folder)
        runs = _all_runs(bench, train, stages)
    chosen = best_learning_rates(runs)
    text = "\n".join(
        [
            *introduction(plan, bench.base),
            "",
            table(runs, list(bench.base_scores.values()), chosen),
            "",
            *(textwrap.fill(sentence, LINE_WIDTH) for sentence in (*in_words(runs, chosen), caution(len(plan.seeds)))),
            "",
            *LEGEND,
            "",
            f"{len(runs)} fine-tunes, written to {folder}; {time.perf_counter() - began:.0f} s in all",
        ]
    )
    record = as_record(bench, runs, chosen)
    write_json_atomically(folder / "demo.json", record)
    write_text_atomically(folder / "table.txt", text + "\n")
    return DemoResult(text, record, folder)


def _all_runs(bench: Bench, train: TrainFunction, stages: Stages) -> list[Run]:
    plan = bench.plan
    # Methods take turns, so that a machine that slows down or fills up treats them alike.
    todo = [(method, rate, seed) for seed in plan.seeds for rate in plan.learning_rates for method in METHODS]
    runs: list[Run] = []
    for method, rate, seed in todo:
        runs.append(bench.run(method, rate, seed, train))
        stages.report("fine-tuning", len(runs), len(todo))
    return runs


def as_record(bench: Bench, runs: Sequence[Run], chosen: Mapping[str, float]) -> dict[str, Any]:
    """Every setting and number of a demonstration."""
    return {
        "plan": bench.plan.as_dict(),
        "base": {
            "folder": str(bench.base.folder),
            "pretraining_s": bench.base.pretraining_s,
            "from_cache": bench.base.from_cache,
            "scores_by_seed": {str(seed): scores.as_dict() for seed, scores in bench.base_scores.items()},
        },
        "runs": [run.as_dict() for run in runs],
        "chosen_learning_rates": dict(chosen),
    }


def make_folder(folder: Path) -> None:
    """Make the demonstration's folder.

    Raises:
        OutputError: when it holds something already, or cannot be made.
    """
    fix = "name a folder that does not exist yet"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError.at(folder, "already holds something, and nothing is ever overwritten", fix)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.at(folder, f"cannot be made ({error.strerror})", fix) from None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the same numbers on every number of cores, in a time that neighbours do not spoil.

    Matrices this small gain little from a second thread, and on a busy machine OpenMP's threads spend most of their
    time waiting for each other's turn (measured: 17 times slower).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Without a bar for every model that is read or written; there are dozens."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()
