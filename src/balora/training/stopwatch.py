"""Time spent in a block, summed over calls, right on devices that work asynchronously."""

from __future__ import annotations

import time
from types import TracebackType

import torch

MOST_EVENTS = 512
"""Pairs of CUDA events kept before they are added up, where nobody reads the clock."""


def _event() -> torch.cuda.Event:
    event: torch.cuda.Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    return event


class Stopwatch:
    """A context manager that adds up; on CUDA it records events and waits only when it is read."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._seconds = 0.0
        self._began = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> None:
        if self._cuda:
            if len(self._events) >= MOST_EVENTS:
                self._seconds = self.take_seconds()
            pair = (_event(), _event())
            pair[0].record()
            self._events.append(pair)
        else:
            self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cuda:
            self._events[-1][1].record()
        else:
            self._seconds += time.perf_counter() - self._began

    def take_seconds(self) -> float:
        """The sum so far; starts again at 0."""
        if self._events:
            torch.cuda.synchronize()
            self._seconds += sum(start.elapsed_time(end) for start, end in self._events) / 1000
        seconds, self._seconds, self._events = self._seconds, 0.0, []
        return seconds
