"""A program in a process of its own that answers line by line, and is ended where an answer takes too long.

What others wrote, and what may run for ever, fill the memory or crash, happens there. The program is started by path
and in isolated mode, and sees only the environment that is passed on. It says an empty JSON object once everything is
loaded, then one JSON object per line for what it reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from balora.errors import BaloraError
from balora.strict_json import parse_json

START_LIMIT_S = 120.0
"""Seconds that a program may take to load; on a busy machine that takes long."""
_END_LIMIT_S = 5.0
_ALWAYS_PASSED_ON = ("PATH", "LANG", "LC_ALL", "HOME")


class NoReplyError(BaloraError):
    """A program gave no answer, and its process has been ended."""

    def __init__(self, *, late: bool, ended_with: int) -> None:
        super().__init__("no answer in time" if late else f"the process ended with {ended_with}")
        self.late = late
        """Whether its time was up; else it ended by itself."""
        self.ended_with = ended_with
        """The exit code of the process; negative where a signal ended it."""


class LimitedProcess:
    """The process, started when it is first needed and again after it had to be ended."""

    def __init__(
        self,
        program: Path,
        purpose: str,
        *,
        passed_on: Collection[str] = (),
        environment: Mapping[str, str] | None = None,
        set_up: Mapping[str, Any] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            program: the file that Python runs.
            purpose: what it does, for messages: "the process that ...".
            passed_on: variables of our environment that it sees, beside path, home and language.
            environment: further variables that it sees.
            set_up: what it reads first, before everything is loaded.
        """
        self._program, self._purpose, self._set_up = program, purpose, set_up
        self._passed_on, self._environment = {*_ALWAYS_PASSED_ON, *passed_on}, environment or {}
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()
        self._loaded = False

    def start(self) -> None:
        """Let it load while the caller goes on; does nothing where it runs."""
        if self._child is not None and self._child.poll() is None:
            return
        self.close()
        kept = {name: value for name, value in os.environ.items() if name in self._passed_on}
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, **self._environment},
        )
        if self._set_up is not None:
            self._write(self._set_up)

    def wait_until_loaded(self) -> None:
        """Start it where it does not run, and wait, so that loading is no part of the time for an answer.

        Raises:
            BaloraError: it does not start.
        """
        self.start()
        if not self._loaded:
            try:
                self.reply(START_LIMIT_S)
            except NoReplyError as silence:
                raise BaloraError(f"the process that {self._purpose} does not start ({silence})") from silence
            self._loaded = True

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a request; where the process has ended meanwhile, the missing reply tells.

        Raises:
            BaloraError: it does not start.
        """
        self.wait_until_loaded()
        self._write(message)

    def reply(self, limit_s: float) -> dict[str, Any]:
        """The next answer.

        Raises:
            NoReplyError: there is none within `limit_s` seconds.
        """
        try:
            line = self._line(limit_s)
        except BaseException:
            self.close()  # its other replies would be taken for those to a later request
            raise
        reply: dict[str, Any] = parse_json(line)
        return reply

    def close(self) -> None:
        """End the process; safe to call twice."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        self._child, self._loaded = None, False
        self._unread.clear()

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(message).encode() + b"\n")
            self._child.stdin.flush()

    def _line(self, limit_s: float) -> bytes:
        child = self._child
        assert child is not None
        assert child.stdout is not None
        handle, deadline = child.stdout.fileno(), time.monotonic() + limit_s
        while (end := self._unread.find(b"\n")) < 0:
            with selectors.DefaultSelector() as selector:
                selector.register(handle, selectors.EVENT_READ)
                late = not selector.select(max(0.0, deadline - time.monotonic()))
            part = b"" if late else os.read(handle, 1 << 16)
            if not part:
                raise NoReplyError(late=late, ended_with=_ended(child, 0.0 if late else _END_LIMIT_S))
            self._unread += part
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line


def _ended(child: subprocess.Popen[bytes], patience_s: float) -> int:
    """The exit code of a process that is ending by itself, else of one that is killed."""
    try:
        return child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
