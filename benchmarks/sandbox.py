"""What the sandbox adds to one generated program: each way to confine it against a bare process, pair by pair."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial

from balora.evaluation.sandbox import Candidate, SandboxLimits, probe
from balora.evaluation.sandbox.method import MethodName
from balora.evaluation.sandbox.supervise import supervise
from benchmarks.measure import Result, markdown, time_in_turns

FEWEST_ROUNDS = 60
GOAL_MS = 100.0
"""Added to the median program."""
METHODS: tuple[MethodName, ...] = ("bubblewrap", "namespaces")
BARE = "bare process"
PROGRAM = """
import collections, functools, itertools, math, re

def most_common(words):
    counts = collections.Counter(words)
    return sorted(counts, key=lambda word: (-counts[word], word))[:3]
"""
TESTS = "assert most_common(['b', 'a', 'b', 'c', 'd', 'a', 'b']) == ['b', 'a', 'c']\nassert most_common([]) == []\n"


def bare() -> None:
    """Program and tests in one Python, as harnesses without walls do."""
    subprocess.run([sys.executable, "-c", PROGRAM + TESTS], check=True)


def confined(method: MethodName) -> None:
    """Program and tests in two confined processes, up to the verdict."""
    verdict = supervise(Candidate(PROGRAM, TESTS, ("most_common",)), SandboxLimits(), method)
    assert verdict.passed, verdict


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """Median over at least 60 rounds of the time beyond that of the bare process in the same round."""
    del shapes
    if device != "cpu":
        return []
    result = Result("one generated program", device, BARE)
    standing = [method for method in METHODS if probe._try(method)[0] is not None]
    variants = {BARE: bare, **{method: partial(confined, method) for method in standing}}
    result.seconds = time_in_turns(variants, device=device, rounds=max(rounds, FEWEST_ROUNDS))
    for method in standing:
        pairs = zip(result.seconds[method], result.seconds[BARE], strict=True)
        added = sorted(1000 * (one - other) for one, other in pairs)
        numbers = {"median": statistics.median(added), "lowest": added[0], "95 of 100": added[int(0.95 * len(added))]}
        result.values[method] = numbers
    rows = [[method, *(f"{value:.0f}" for value in numbers.values())] for method, numbers in result.values.items()]
    header = ["ms added to the bare process", "median", "lowest", "95 of 100"]
    result.table = ["", *markdown(header, ["---"] * 4, *rows)]
    missing = [method for method in METHODS if method not in standing]
    result.notes = [f"goal: at most {GOAL_MS:.0f} ms in the median"]
    result.notes += [f"{', '.join(missing)}: does not work on this machine, not measured"] if missing else []
    return [result]
