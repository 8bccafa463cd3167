"""R7, R9, R3 and R11 with two processes over gloo: one is spoiled, both equal one, one is signalled or killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path

import torch

from balora.artefacts import list_checkpoints
from tests.faults import worker
from tests.faults.figures import Figures, measure
from tests.faults.forked import scratch
from tests.faults.selections import environment_of_children
from tests.faults.small_run import published_are_good

LIMIT_S = 60.0
RELATIVE = 1e-5


def start(work: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**environment_of_children(), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "tests.faults.worker", work, str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def finish(process: subprocess.Popen[str], timeout_s: float = 300.0) -> tuple[int, str]:
    _, printed = process.communicate(timeout=timeout_s)
    return process.returncode, printed


def row_of_spoiled(folder: Path, count: int) -> Figures:
    """All 24 in one start of two processes."""
    del count
    folder.mkdir(parents=True)
    code, printed = finish(start("spoiled", folder))
    found = json.loads((folder / "found.json").read_text()) if code == 0 else [["start", printed[-500:]]]
    promise = "not finite on one of two processes: both stop before the update, the process, term and rows named"
    return measure("R7b", promise, ((name, partial(_same, trouble)) for name, trouble in found))


def _same(trouble: str | None) -> str | None:
    return trouble


def row_of_parity(folder: Path, count: int) -> Figures:
    """Terms, total and adapter of 50 steps against one process with the whole batch.

    In classification the terms of the batch as a whole see a micro-batch at a time, so accumulation is compared for
    the other kinds of task only.
    """
    folder.mkdir(parents=True)
    accumulated = [] if count <= 3 else ["4x2 and a remainder", "8x1 and a remainder"]
    worker.parity(folder, ["1x8", *(["1x8 and a remainder", *accumulated] if accumulated else [])])
    code, printed = finish(start("parity", folder))
    if code != 0:
        return measure("R9", "two processes equal one", [("start", partial(_same, printed[-500:]))])
    others = ["2 processes x 4", *accumulated]
    cases = [(k, o) for k, o in product(worker.KINDS, others) if k != "classes" or "processes" in o]
    promise = f"terms, total and adapter as with one process and whole batches, within {RELATIVE:g}, 50 steps"
    worst: dict[str, float] = {}
    figures = measure("R9", promise, ((f"{k} {o}", partial(_compare, folder, k, o, worst)) for k, o in cases))
    figures.facts["largest_relative_gap"] = f"{max(worst.values()):.1e}"
    return figures


def _compare(folder: Path, kind: str, layout: str, worst: dict[str, float]) -> str | None:
    reference = "1x8 and a remainder" if "remainder" in layout else "1x8"
    one, other = (torch.load(folder / f"{kind} {name}.pt", weights_only=True) for name in (reference, layout))
    scale = one["logs"].abs().amax(dim=0).clamp_min(1e-12)
    logs = ((one["logs"] - other["logs"]).abs() / scale).max().item()
    adapter = ((one["adapter"] - other["adapter"]).norm() / one["adapter"].norm()).item()
    worst[f"{kind} {layout}"] = max(logs, adapter)
    return None if max(logs, adapter) <= RELATIVE else f"terms differ by {logs:.1e}, the adapter by {adapter:.1e}"


def row_of_deaths(folder: Path, count: int) -> Figures:
    """One process is killed at a random moment; every fourth case is a SIGTERM or SIGINT to one of them instead."""
    draw = random.Random(11)
    whole = folder / "whole"
    whole.mkdir(parents=True)
    code, printed = finish(start("whole", whole))
    assert code == 0, printed[-500:]
    slowest = [0.0]

    def case(number: int) -> str | None:
        with scratch(folder / f"case-{number}") as place:
            process = start("train", place)
            victim, kind = draw.randrange(2), signal.SIGKILL
            if number % 4 == 1:
                kind = draw.choice([signal.SIGTERM, signal.SIGINT])
            limit = time.monotonic() + 90
            while time.monotonic() < limit and not (place / f"pid-{victim}").exists():
                time.sleep(0.01)
            time.sleep(draw.uniform(0.1, 0.9))
            os.kill(int((place / f"pid-{victim}").read_text()), kind)
            sent = time.monotonic()
            code, printed = finish(process)
            slowest[0] = max(slowest[0], time.monotonic() - sent)
            if code == 0:
                return "ended as if nothing had happened"
            if time.monotonic() - sent > LIMIT_S:
                return f"took {time.monotonic() - sent:.0f} s"
            if kind == signal.SIGKILL and f"(local_rank: {victim})" not in printed:
                return f"process {victim} is not named: {printed[-400:]}"
            trouble = published_are_good(place / "run")
            if trouble:
                return trouble
            # Stopped before its first checkpoint, a run is started again.
            code, printed = finish(start("resume" if list_checkpoints(place / "run") else "train", place))
            return _ended_alike(place / "run", whole / "run") if code == 0 else f"resume: {printed[-500:]}"

    promise = (
        "one of two processes killed or signalled: the other ends within 60 s, the process named, resume identical"
    )
    figures = measure("R11", promise, ((f"case {n}", partial(case, n)) for n in range(count)))
    figures.facts["slowest_end_s"] = round(slowest[0], 1)
    return figures


def _ended_alike(run: Path, whole: Path) -> str | None:
    mine, theirs = list_checkpoints(run)[0], list_checkpoints(whole)[0]
    for name in ("trainable.safetensors", "optimizer.safetensors"):
        if mine.name != theirs.name or (mine / name).read_bytes() != (theirs / name).read_bytes():
            return f"{name} differs"
    return None
