"""Time and peak memory of variants, taken in alternation so that a noisy machine disturbs all of them alike."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

MIB = 1 << 20
_THRESHOLD = "MALLOC_MMAP_THRESHOLD_"


@dataclass
class Result:
    """What one benchmark found, by variant."""

    name: str
    device: str
    base: str
    """The variant that ratios refer to."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    gates: dict[str, float] = field(default_factory=dict)
    """What was checked before the clock ran: largest relative error of value or gradient."""
    notes: list[str] = field(default_factory=list)
    table: list[str] = field(default_factory=list)
    """Lines of a table of its own, for benchmarks that measure neither time nor memory."""
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    """The numbers of that table, by variant."""

    def time_ratio(self, variant: str) -> float:
        """Median over the rounds of this variant's time over the base's in the same round."""
        pairs = zip(self.seconds[variant], self.seconds[self.base], strict=True)
        return statistics.median(one / other for one, other in pairs)

    def memory_ratio(self, variant: str) -> float:
        """Peak memory over the base's."""
        return self.peak_mib[variant] / max(self.peak_mib[self.base], 1e-9)

    def as_json(self) -> dict[str, Any]:
        """Everything, ratios included."""
        ratios = {variant: self.time_ratio(variant) for variant in self.seconds}
        memory = {variant: self.memory_ratio(variant) for variant in self.peak_mib}
        return {**vars(self), "time_ratio": ratios, "memory_ratio": memory}

    def as_markdown(self) -> str:
        """A table with a row per variant."""
        lines = [f"### {self.name} ({self.device})", ""]
        header = [
            f"| variant | median ms | time / {self.base} | peak MiB | memory / {self.base} |",
            "|---|---|---|---|---|",
        ]
        lines += header if self.seconds or self.peak_mib else []
        for variant in {**self.seconds, **self.peak_mib}:
            clock = memory = ["-", "-"]
            if variant in self.seconds:
                clock = [f"{statistics.median(self.seconds[variant]) * 1000:.1f}", f"{self.time_ratio(variant):.2f}"]
            if variant in self.peak_mib:
                memory = [f"{self.peak_mib[variant]:.0f}", f"{self.memory_ratio(variant):.2f}"]
            lines.append("| " + " | ".join([variant, *clock, *memory]) + " |")
        checks = [f"gate: {name} differs by {error:.1e}" for name, error in self.gates.items()]
        return "\n".join([*lines, *self.table, "", *(f"- {line}" for line in [*checks, *self.notes]), ""])


def markdown(*rows: list[str]) -> list[str]:
    """Rows of cells as lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in rows]


def wait_for(device: str) -> None:
    """Let the device finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def time_in_turns(variants: Mapping[str, Callable[[], Any]], *, device: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of every variant in every round; the order turns round by round."""
    names = list(variants)
    for name in names:
        variants[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wait_for(device)
            began = time.perf_counter()
            variants[name]()
            wait_for(device)
            seconds[name].append(time.perf_counter() - began)
    return seconds


def cuda_peak_mib(work: Callable[[], Any]) -> float:
    """Peak of CUDA's allocator while `work` runs, beyond what was allocated before."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / MIB


def cpu_peak_mib(module: str, function: str, *arguments: Any) -> float:
    """Peak resident memory of a fresh process while the work runs, beyond what it held before.

    `module.function(*arguments)` makes the inputs and returns the work to do. NaN where the kernel does not tell.
    """
    # glibc keeps freed blocks of up to 32 MB; above this threshold it gives them back, and the peak is what was in use.
    kept = os.environ.get(_THRESHOLD)
    os.environ[_THRESHOLD] = "65536"
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak_in_this_process, (module, function, arguments))
    finally:
        os.environ.pop(_THRESHOLD)
        if kept is not None:
            os.environ[_THRESHOLD] = kept


def _peak_in_this_process(module: str, function: str, arguments: tuple[Any, ...]) -> float:
    import importlib

    torch.set_num_threads(1)
    work = getattr(importlib.import_module(module), function)(*arguments)
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    before = _status_kib("VmRSS")
    work()
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def write_results(results: list[Result], *, json_path: Path | None) -> None:
    """Print the tables, and write everything as JSON where asked."""
    for result in results:
        print(result.as_markdown())
    if json_path is not None:
        json_path.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
