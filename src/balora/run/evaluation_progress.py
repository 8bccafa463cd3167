"""How far an evaluation is: a bar on a terminal, a line per suite elsewhere, always on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from balora.escaping import visible
from balora.streams import stderr_console


class EvaluationProgress:
    """Draws nothing unless enabled."""

    def __init__(self, *, enabled: bool) -> None:
        # The stream of now: libraries' own chatter is turned away from sys.stderr while they work.
        self.console = stderr_console(soft_wrap=True) if enabled else None
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self.console is not None and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """A note for the user."""
        if self.console is not None:
            self.console.print(visible(f"note: {line}"), highlight=False, markup=False)

    @contextmanager
    def suite(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Inside the block, call what is given with the number of items that are done, and of all."""
        if self._bar is None:
            yield self._lines(name)
            return
        bar = self._bar
        task = bar.add_task(visible(name), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

    def _lines(self, name: str) -> Callable[[int, int], None]:
        shown = 0

        def tell(done: int, total: int) -> None:
            nonlocal shown
            if self.console is not None and total and (done == total or done * 4 // total > shown):
                shown = done * 4 // total
                self.console.print(visible(f"{name}: {done} of {total}"), highlight=False, markup=False)

        return tell
