"""What this machine has free, and how fast it multiplies: read and tried out, not looked up in a table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from balora.main_memory import free_main_memory, resident_bytes
from balora.paths import user_path

_TRIALS = 5
_LAUNCHES = 300
_SMALL_ROWS, _LARGE_NUMBERS = 8, 1 << 22


@dataclass(frozen=True, slots=True)
class Machine:
    """The device that trains, and the disk that the run is written to."""

    device: str
    free_memory_bytes: int
    """On a GPU what CUDA has free; on a CPU what the system can hand out, or what a container's limit leaves."""
    held_bytes: int
    """What this process already holds of it: Python, torch and transformers; on a GPU the CUDA context."""
    free_disk_bytes: int
    flops_per_s: float
    """Matrix products of a batch's shape, in the run's number format."""
    bytes_per_s: float
    """Written by elementwise operations."""
    launch_s: float
    """Of an operation that does nearly nothing."""


def look_at_machine(
    device: torch.device, folder: Path, *, rows: int, width: int, dtype: torch.dtype = torch.float32
) -> Machine:
    """Read what is free, and time three small operations for about half a second.

    Args:
        device: where the run trains.
        folder: of the run; its nearest existing parent says which disk.
        rows: positions of a micro-batch.
        width: hidden size d; the product that is timed is (rows, d) times (d, 4d).
        dtype: what products run in.
    """
    left = torch.ones(max(rows, 1), width, device=device, dtype=dtype)
    right = torch.ones(width, 4 * width, device=device, dtype=dtype)
    product_s = _seconds(lambda: left @ right, device)
    small = torch.ones(_SMALL_ROWS, device=device)
    launch_s = _seconds(lambda: _repeat(small), device) / _LAUNCHES
    large = torch.ones(_LARGE_NUMBERS, device=device)
    elementwise_s = _seconds(lambda: large * 2.0, device)
    free, held = _memory(device)
    return Machine(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        free_memory_bytes=free,
        held_bytes=held,
        free_disk_bytes=shutil.disk_usage(existing(folder)).free,
        flops_per_s=2.0 * left.shape[0] * width * 4 * width / product_s,
        bytes_per_s=4.0 * _LARGE_NUMBERS / elementwise_s,
        launch_s=launch_s,
    )


def _repeat(small: Tensor) -> Tensor:
    for _ in range(_LAUNCHES):
        result = small + 1.0
    return result


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    """The fastest of a few trials: a neighbour can only slow a trial down."""
    times = []
    for _ in range(1 + _TRIALS):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return max(min(times[1:]), 1e-9)


def _memory(device: torch.device) -> tuple[int, int]:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device), min(total - free, 1 << 30)
    return free_main_memory(), resident_bytes()


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    path = user_path(folder).absolute()
    return next(part for part in (path, *path.parents) if part.exists())
