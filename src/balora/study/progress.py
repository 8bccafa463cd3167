"""How far a study is: one line for each run that ends, readable in a terminal and in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console

from balora.escaping import visible
from balora.study.jobs import Outcome
from balora.study.metrics import metric_of
from balora.study.results import Metric


@dataclass(slots=True)
class StudyProgress:
    """Tells on stderr what ended, with its main score and the time that remains."""

    console: Console | None
    metrics: Sequence[Metric]
    slots: int
    began: float = field(default_factory=time.monotonic)
    seconds: list[float] = field(default_factory=list)

    def say(self, text: str) -> None:
        """One line."""
        if self.console is not None:
            self.console.print(visible(text), highlight=False, markup=False, soft_wrap=True)

    def ended(self, title: str, outcome: Outcome, *, done: int, total: int) -> None:
        """One run ended; `done` of `total` have."""
        self.seconds.append(outcome.seconds)
        width = len(str(total))
        head = f"[{done:>{width}}/{total}] {title}"
        if outcome.state == "done":
            self.say(f"{head}: {self._score(outcome)}, {duration(outcome.seconds)}{self._remaining(total - done)}")
        else:
            self.say(f"{head}: {outcome.state.upper()}: {outcome.error}{self._remaining(total - done)}")

    def _score(self, outcome: Outcome) -> str:
        for metric in self.metrics:
            if metric.key in outcome.scores:
                return f"{metric.title} {shown(outcome.scores[metric.key], metric)}"
        key = next(iter(outcome.scores), None)
        if key is None:
            return "done"
        metric = metric_of(key)
        return f"{metric.title} {shown(outcome.scores[key], metric)}"

    def _remaining(self, left: int) -> str:
        if not left or not self.seconds:
            return ""
        mean = sum(self.seconds) / len(self.seconds)
        return f"; about {duration(mean * left / min(self.slots, left))} left"


def shown(value: float, metric: Metric) -> str:
    """A score as its metric wants it shown.

    >>> shown(0.75, Metric("a", "a", "higher", scale=100, digits=1, unit="%"))
    '75.0 %'
    """
    return f"{value * metric.scale:.{metric.digits}f} {metric.unit}".rstrip()


def duration(seconds: float) -> str:
    """Seconds in the units that people use.

    >>> duration(3.2), duration(200), duration(7300)
    ('3.2 s', '3 min', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
