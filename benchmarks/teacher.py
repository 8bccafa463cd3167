"""What a cheaper teacher costs in quality: fine-tunes in the laboratory's world, paired by seed with the full rate.

Time is not looked at: the world is far too small for it, and `step` measures it.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy import stats

from balora.demo.bench import Bench, Run
from balora.demo.comparison import train_quietly
from balora.demo.plan import Method, full_plan
from balora.lab import base_model, build_world
from benchmarks.measure import Result, markdown

VARIANTS: dict[str, dict[str, Any]] = {
    "full rate": {},
    "half of the sequences": {"teacher_fraction": 0.5},
    "a quarter of the sequences": {"teacher_fraction": 0.25},
    "by schedule": {"teacher_fraction": "schedule"},
    "cached states": {"teacher": "cached"},
    "no teacher (weight 0)": {"consistency_weight": 0.0},
}
WEIGHTS = {"paper": 0.025, "strong": 0.25}
SCORES = ("task_accuracy", "wrong_labels_memorised", "heldout_loss")
LEARNING_RATE = 1e-3
SEEDS = 8
FULL = "full rate"


def fine_tunes(bench: Bench, weight: float, folder: Path) -> dict[str, list[Run]]:
    """Every variant with every seed."""
    found = {}
    for name, changes in VARIANTS.items():
        settings = {"consistency_weight": weight, "teacher_cache_dir": str(folder / "states"), **changes}
        method = Method(f"{weight:g} {name}", "pissa", settings)
        found[name] = [bench.run(method, LEARNING_RATE, seed, train_quietly) for seed in bench.plan.seeds]
    return found


def compared(runs: list[Run], full: list[Run], score: str) -> str:
    """Mean and standard deviation; and the paired difference to the full rate with its 95 % interval."""
    values, reference = ([getattr(run.scores, score) for run in group] for group in (runs, full))
    spread = f"{mean(values):.3f} ± {stdev(values):.3f}"
    gaps = [one - other for one, other in zip(values, reference, strict=True)]
    if not any(gaps):
        return f"{spread} (same)"
    half = stats.t.ppf(0.975, len(gaps) - 1) * stdev(gaps) / len(gaps) ** 0.5
    return f"{spread} ({mean(gaps):+.3f} ± {half:.3f})"


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """One table per weight of the consistency term; on the CPU, whatever the device. Takes minutes."""
    del device, rounds, shapes
    plan = replace(full_plan(SEEDS), learning_rates=(LEARNING_RATE,))
    world = build_world(plan.world)
    base = base_model(world, plan.pretraining)
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench.of(world, base, plan, Path(scratch))
        for name, weight in WEIGHTS.items():
            found = fine_tunes(bench, weight, Path(scratch))
            result = Result(f"teacher economy, {name} weight {weight:g}, {SEEDS} seeds", "cpu", FULL)
            header = ["variant", *(f"{score} (difference to full rate)" for score in SCORES)]
            result.table = markdown(header, ["---"] * len(header))
            for variant, runs in found.items():
                scores = [compared(runs, found[FULL], score) for score in SCORES]
                result.table += markdown([variant, *scores])
            results.append(result)
    return results
