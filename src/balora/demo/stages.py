"""What the demonstration shows while it works: a live bar per stage on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINES_PER_STAGE = 10
"""Off a terminal a stage reports about this often."""


class Stages:
    """Progress on stderr, one stage after the other.

    Args:
        console: where to draw; None shows nothing.
    """

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._began = 0.0
        self._bar: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        if console is not None and console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
            )

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of a stage are done."""
        if self._bar is not None:
            if stage not in self._bars:
                self._bars[stage] = self._bar.add_task(stage, total=total)
            self._bar.update(self._bars[stage], completed=done)
        elif self._console is not None and _passes_a_mark(done, total):
            elapsed_s = time.monotonic() - self._began
            self._console.print(f"{stage} {done}/{total} ({elapsed_s:.0f} s)", highlight=False, soft_wrap=True)


def _passes_a_mark(done: int, total: int) -> bool:
    """Whether part `done` is the first of its tenth."""
    return done * LINES_PER_STAGE // total > (done - 1) * LINES_PER_STAGE // total
