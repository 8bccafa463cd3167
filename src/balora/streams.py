"""Streams for lines that nobody may be reading: losing one never ends the work that it tells of."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO

from rich.console import Console


class ForgivingStream:
    """A text stream that goes quiet where a line cannot be written: its reader left, or its disk is full.

    >>> with open(os.devnull) as not_for_writing:
    ...     stream = ForgivingStream(not_for_writing)
    ...     stream.write("step 1"), stream.lost
    (6, True)
    """

    def __init__(self, stream: TextIO | Any) -> None:
        self._stream = stream
        self.lost = False
        """Whether something could not be written."""

    def write(self, text: str) -> int:
        """Write the text, or lose it."""
        if not self.lost:
            try:
                self._stream.write(text)
            except OSError:
                self.lost = True
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write the lines, or lose them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is held back, or lose it."""
        if not self.lost:
            try:
                self._stream.flush()
            except OSError:
                self.lost = True

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)


def stderr_console(*, soft_wrap: bool = False) -> Console:
    """A console on stderr whose lines may be lost; rich's own would end the process where its reader left."""
    return Console(file=ForgivingStream(sys.stderr), soft_wrap=soft_wrap)  # type: ignore[arg-type]


def let_go(stream: TextIO | Any) -> None:
    """Send to nowhere what a stream still holds and cannot write; Python would end with 120 over it."""
    with contextlib.suppress(OSError, ValueError):
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, stream.fileno())
        os.close(handle)
