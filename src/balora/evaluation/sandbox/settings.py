"""How much a test program may use."""

from __future__ import annotations

from pydantic import Field

from balora.settings import Settings


class SandboxLimits(Settings):
    """Limits of one program; passing one of them ends it."""

    wall_s: float = Field(default=30.0, gt=0)
    """Seconds from start to end, waiting included. Generous, since other work on the machine slows a program down."""
    cpu_s: int = Field(default=10, ge=1)
    """Seconds of processor time of each process."""
    memory_mib: int = Field(default=1024, ge=64)
    """Memory of all processes together, and address space of each."""
    processes: int = Field(default=16, ge=3)
    """Processes and threads together, the sandbox's own two included."""
    file_mib: int = Field(default=16, ge=0)
    """Size of each file."""
    scratch_mib: int = Field(default=32, ge=1)
    """Size of the only writable folder, kept in memory."""
    files: int = Field(default=4096, ge=64)
    """Files in that folder; looked at 20 times a second, so that a few thousand more may come to be."""
    open_files: int = Field(default=64, ge=16)
    """Open files of each process."""
    output_kib: int = Field(default=1024, ge=1)
    """What the program may print; only the end of it is kept."""
    site_packages: bool = True
    """Whether the program may import what is installed beside balora, as in the usual harnesses."""
