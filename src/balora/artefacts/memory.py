"""Peak memory of a piece of work: on the CPU the process' resident set, on CUDA what its allocator handed out."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

GIB = 1 << 30


class PeakMemory:
    """Measure the peak between entering and leaving.

    On Linux the kernel's high-water mark is reset first; elsewhere `cpu_gib` is the peak since the process began.

    >>> with PeakMemory() as peak:
    ...     numbers = list(range(1000))
    >>> peak.cpu_gib > 0
    True
    """

    def __init__(self) -> None:
        self.cpu_gib = float("nan")
        self.gpu_gib: float | None = None

    def __enter__(self) -> Self:
        self._since_start = not _reset_high_water_mark()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu_gib = _peak_since_start_gib() if self._since_start else _high_water_mark_gib()
        if torch.cuda.is_available():
            self.gpu_gib = torch.cuda.max_memory_allocated() / GIB


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water_mark_gib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / GIB
    return _peak_since_start_gib()


def _peak_since_start_gib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
