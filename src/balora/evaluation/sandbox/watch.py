"""What a process tree uses, as the kernel's process files tell."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """A process's children, their children and so on, parents first; empty where the kernel does not tell."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        try:
            tasks = list((_PROC / str(waiting.pop()) / "task").iterdir())
        except OSError:
            continue
        for task in tasks:
            try:
                children = [int(part) for part in (task / "children").read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended; one that only waits to be collected has."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def memory_bytes(pids: list[int]) -> int:
    """Memory in use by these processes together, file pages left out; shared pages count once per process."""
    return sum(_of_one(pid) for pid in pids)


def files_in_scratch(pids: list[int], folder: str) -> int:
    """Files in the folder of that name that the last of these processes sees; 0 where it is ours, or cannot be seen."""
    if not pids:
        return 0
    seen = f"{_PROC}/{pids[-1]}/root{folder}"
    try:
        if Path(seen).stat().st_dev == Path(folder).stat().st_dev:
            return 0
        room = os.statvfs(seen)
    except OSError:
        return 0
    return room.f_files - room.f_ffree


def _of_one(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    wanted = [line.split() for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return sum(int(parts[1]) * 1024 for parts in wanted)
