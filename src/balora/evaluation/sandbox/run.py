"""Run generated programs against their tests, one or many."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from balora.evaluation.sandbox.probe import probe_sandbox, require_sandbox
from balora.evaluation.sandbox.problems import humaneval_candidate, mbpp_candidate, names_defined, names_from_outside
from balora.evaluation.sandbox.settings import SandboxLimits
from balora.evaluation.sandbox.supervise import Candidate, supervise
from balora.evaluation.sandbox.verdict import Verdict

_DEFAULT = SandboxLimits()


def run_candidate(
    program: str,
    *,
    tests: str,
    helpers: str = "",
    limits: SandboxLimits = _DEFAULT,
    allow_unsandboxed: bool = False,
) -> Verdict:
    """Run untrusted source and decide by tests that it cannot reach.

    Program and tests run in two confined processes. Names that the tests read and that neither they, `helpers` nor
    Python define are taken from the program; calling one runs it there, and plain data comes back. So an early exit,
    a patched `assert`, an object that equals everything or a printed "passed" gain nothing.

    Never raises for what the program does. Where no sandbox works the verdict is `refused`, which says nothing about
    the program, unless `allow_unsandboxed`.

    Raises:
        SyntaxError: when the tests are not Python.

    >>> run_candidate("def double(x): return 2 * x", tests="assert double(4) == 8").reason  # doctest: +SKIP
    'passed'
    """
    taken = names_from_outside(tests) - set(dir(builtins)) - names_defined(helpers)
    return _run(Candidate(program, tests, tuple(sorted(taken)), helpers), limits, allow_unsandboxed)


def check_humaneval(
    problem: Mapping[str, Any],
    completion: str,
    *,
    limits: SandboxLimits = _DEFAULT,
    allow_unsandboxed: bool = False,
) -> Verdict:
    """Whether a continuation of a HumanEval prompt holds the item's tests.

    Raises:
        DataError: when the item does not have the format.
    """
    return _run(humaneval_candidate(problem, completion), limits, allow_unsandboxed)


def check_mbpp(
    problem: Mapping[str, Any],
    code: str,
    *,
    challenge: bool = False,
    limits: SandboxLimits = _DEFAULT,
    allow_unsandboxed: bool = False,
) -> Verdict:
    """Whether code holds the tests of an MBPP item, full or sanitized; with `challenge` the harder ones too.

    Raises:
        DataError: when the item does not have the format.
    """
    return _run(mbpp_candidate(problem, code, challenge=challenge), limits, allow_unsandboxed)


def run_many(
    candidates: Sequence[Candidate],
    *,
    workers: int = 1,
    limits: SandboxLimits = _DEFAULT,
    allow_unsandboxed: bool = False,
    on_verdict: Callable[[int, Verdict], None] | None = None,
) -> list[Verdict]:
    """Verdicts in the order of the candidates, `workers` at a time.

    `on_verdict(position, verdict)` is called in the caller's thread as each one arrives, to save it or show progress.

    Raises:
        InputError: before anything runs, when no sandbox works here and running without is not allowed.
    """
    require_sandbox(allow_unsandboxed=allow_unsandboxed)
    verdicts: dict[int, Verdict] = {}
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        try:
            for position, verdict in _arriving(pool, candidates, workers, limits, allow_unsandboxed):
                verdicts[position] = verdict
                if on_verdict is not None:
                    on_verdict(position, verdict)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [verdicts[position] for position in range(len(candidates))]


def _arriving(
    pool: ThreadPoolExecutor,
    candidates: Sequence[Candidate],
    workers: int,
    limits: SandboxLimits,
    allow_unsandboxed: bool,
) -> Iterator[tuple[int, Verdict]]:
    """Keep `workers` runs going, no more, so that an interrupt does not leave a queue to work off."""
    waiting = iter(enumerate(candidates))
    running: dict[Future[Verdict], int] = {}
    while True:
        for position, candidate in waiting:
            running[pool.submit(_run, candidate, limits, allow_unsandboxed)] = position
            if len(running) >= workers:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _run(candidate: Candidate, limits: SandboxLimits, allow_unsandboxed: bool) -> Verdict:
    report = probe_sandbox()
    if not report.works and not allow_unsandboxed:
        return Verdict("refused", "no sandbox works here: " + "; ".join(report.obstacles))
    return supervise(candidate, limits, report.method)
