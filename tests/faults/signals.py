"""R3: SIGTERM, SIGINT, SIGHUP and two Ctrl-C at random moments of the steps, SIGTERM also in evaluations."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.figures import Figures, measure
from tests.faults.forked import scratch
from tests.faults.small_run import SmallRun, logged, published_are_good

PROMISE = "a signal ends the run within 10 s with its exit code and a checkpoint; resumed, it is bit-identical"
LIMIT_S = 10.0
KINDS = {
    "SIGTERM": ([signal.SIGTERM], 143),
    "SIGINT": ([signal.SIGINT], 130),
    "SIGHUP": ([signal.SIGHUP], 129),
    "two SIGINT": ([signal.SIGINT, signal.SIGINT], 130),
}
EVALUATED_EVERY, VALIDATION_ROWS = 10, 400


def row(folder: Path, count: int) -> Figures:
    """`count` runs of each kind."""
    draw = random.Random(3)
    # Saves by itself only at the end, so that a checkpoint before it is the signal's.
    run = SmallRun(folder / "base", steps=30, save_steps=30, logging_steps=1)
    slowest = [0.0]

    def case(kind: str, number: int) -> str | None:
        signals, code = KINDS[kind]
        with scratch(folder / f"{kind}-{number}") as place:
            target = place / "run"
            child = run.start(target)
            wanted = draw.randrange(1, 20)
            limit = time.monotonic() + 60
            log = target / "metrics.jsonl"
            while time.monotonic() < limit and not (log.exists() and log.read_bytes().count(b"\n") >= wanted):
                time.sleep(0.002)
            sent = time.monotonic()
            for position, each in enumerate(signals):
                time.sleep(draw.uniform(0, 0.05) if position else 0)
                child.send(each)
            ended = child.wait()
            slowest[0] = max(slowest[0], time.monotonic() - sent)
            if ended.code != code:
                return f"ended with {ended.code}: {ended.printed[-300:]}"
            if time.monotonic() - sent > LIMIT_S:
                return f"took {time.monotonic() - sent:.1f} s"
            saved = list(target.glob("checkpoint-*"))
            if len(signals) == 1 and not saved:
                return "no checkpoint"
            trouble = published_are_good(target)
            if trouble:
                return trouble
            again = run.finish(target)
            return run.differs(target) if again.code == 0 else f"resume ended with {again.code}: {again.printed[-300:]}"

    cases = ((f"{kind} {n}", lambda k=kind, n=n: case(k, n)) for kind in KINDS for n in range(count))
    every_case = itertools.chain(cases, in_evaluations(folder, count, slowest))
    figures = measure("R3", PROMISE, every_case)
    figures.facts["slowest_end_s"] = round(slowest[0], 2)
    return figures


def in_evaluations(folder: Path, count: int, slowest: list[float]) -> Iterator[tuple[str, Callable[[], str | None]]]:
    """`count` runs that get a SIGTERM in the first half of an evaluation, which they do not wait for."""
    draw = random.Random(4)
    every = {"eval_strategy": "steps", "eval_steps": EVALUATED_EVERY}
    run = SmallRun(
        folder / "evaluated", steps=30, save_steps=30, logging_steps=1, validation_rows=VALIDATION_ROWS, **every
    )
    lines = [json.loads(line) for line in (run.whole / "metrics.jsonl").read_text().splitlines()]
    whole_s = min(line["eval_runtime"] for line in lines if "eval_runtime" in line)

    def case(number: int) -> str | None:
        with scratch(folder / f"evaluation-{number}") as place:
            target, step = place / "run", draw.choice((10, 20, 30))
            child = run.start(target)
            limit = time.monotonic() + 60
            log = target / "metrics.jsonl"
            # The line of the step's loss is the last thing before its evaluation.
            while time.monotonic() < limit and not (log.exists() and f'"step": {step},' in log.read_text()):
                time.sleep(0.002)
            time.sleep(draw.uniform(0, whole_s / 2))
            sent = time.monotonic()
            child.send(signal.SIGTERM)
            ended = child.wait()
            took_s = time.monotonic() - sent
            slowest[0] = max(slowest[0], took_s)
            if ended.code != 143 or took_s > LIMIT_S:
                return f"ended with {ended.code} after {took_s:.1f} s: {ended.printed[-300:]}"
            evaluated = [line["step"] for line in logged(target) if "eval_loss" in line]
            if step in evaluated and took_s > whole_s / 4:
                return f"it waited {took_s:.1f} s for an evaluation of {whole_s:.1f} s"
            trouble = published_are_good(target)
            if trouble:
                return trouble
            again = run.finish(target)
            return run.differs(target) if again.code == 0 else f"resume ended with {again.code}: {again.printed[-300:]}"

    for number in range(count):
        yield f"SIGTERM in an evaluation {number}", lambda n=number: case(n)
