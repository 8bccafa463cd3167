"""R8: the same recipe twice in fresh processes gives the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.figures import Figures, measure
from tests.faults.selections import environment_of_children
from tests.faults.small_run import CLOCKS, SmallRun

PROMISE = "the same recipe twice, in processes started afresh: adapter and scores bit-equal"


def row(folder: Path, count: int) -> Figures:
    run = SmallRun(folder, steps=4)

    def fresh(name: str, threads: str) -> dict[str, Any]:
        target = folder / name
        environment = {**environment_of_children(), "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-W", "ignore", "-m", "balora", "train", str(run.recipe(target))]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        scores = json.loads((target / "all_results.json").read_text())
        kept = {key: value for key, value in scores.items() if not key.endswith(CLOCKS)}
        return {"adapter": (target / "adapter_model.safetensors").read_bytes(), "scores": kept}

    def pair(number: int) -> str | None:
        one, other = (fresh(f"{number}-{half}", "1") for half in "ab")
        differing = [part for part in one if one[part] != other[part]]
        return f"{' and '.join(differing)} differ" if differing else None

    figures = measure("R8", PROMISE, ((f"pair {n}", partial(pair, n)) for n in range(count)))
    if count > 2:
        same = fresh("threads", "2")["adapter"] == fresh("thread", "1")["adapter"]
        figures.facts["threads_1_and_2_equal"] = same
    return figures
