"""What came of a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal["passed", "failed", "error", "timeout", "memory", "processes", "output", "refused"]
"""passed     every test ran and held
failed     a test did not hold
error      an exception, a syntax error, an early end, an answer that cannot be read
timeout    processor time or wall clock ran out
memory     out of memory
processes  more processes than allowed, where the kernel does not hold them back
output     it printed more than allowed
refused    nothing was run: no sandbox works here. It says nothing about the program; never count it as a failure"""

TAIL_BYTES = 4096
"""How much of what a program printed is kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one program against its tests."""

    reason: Reason
    detail: str = ""
    """The exception or the limit, in a line."""
    seconds: float = 0.0
    """From start to end, by the wall clock."""
    layers: tuple[str, ...] = ()
    """The walls that stood around the program."""
    stdout_tail: str = ""
    """The last `TAIL_BYTES` that it printed; the program's own words, to be shown as text and never trusted."""
    stderr_tail: str = ""
    """The same of its errors."""

    @property
    def passed(self) -> bool:
        """Whether every test ran and held."""
        return self.reason == "passed"
