"""Main memory: what a process may still take, what it holds, and whether it has come to a limit set for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource  # now: once memory has run out, there may be none to load it

MIB = 1 << 20
NEAR = 0.85
"""Share of the address space that a process may take from which on an odd failure is put down to that limit: libraries
ask for tens of megabytes at once, and what they raise where they get none tells little."""


def free_main_memory(root: Path = Path("/")) -> int:
    """Bytes that a process may still take: what the kernel calls available, or what a limit on it leaves.

    Limits are a control group's and the address space's (`ulimit -v`).
    """
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = root / "proc/meminfo"
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        if "MemAvailable" in fields:
            free = int(fields["MemAvailable"].split()[0]) * 1024
    group = root / "sys/fs/cgroup"
    try:
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        free = free if limit == "max" else min(free, max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    space = address_space_limit()
    return free if space is None else min(free, max(space - _status("VmSize"), 0))


def resident_bytes() -> int:
    """What this process holds of main memory."""
    return _status("VmRSS") or 1 << 29


def address_space_limit() -> int | None:
    """Bytes of addresses that this process may have; None where nobody set a limit."""
    if sys.platform == "win32":
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def came_to_its_limit(error: BaseException) -> bool:
    """Whether the process has at any time had nearly all the addresses that it may have, or a library had no room."""
    limit = address_space_limit()
    return limit is not None and (_status("VmPeak") >= NEAR * limit or "failed to map segment" in str(error))


def memory_in_words() -> str:
    """What this process holds and may still take, for a message."""
    limit = address_space_limit()
    limited = "" if limit is None else f", of addresses it may have {limit / MIB:.0f} MiB (ulimit -v)"
    held, free = resident_bytes() / MIB, free_main_memory() / MIB
    return f"of main memory it holds {held:.0f} MiB, {free:.0f} MiB more are free{limited}"


def _status(name: str) -> int:
    """A size among the kernel's words on this process; 0 where there are none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
