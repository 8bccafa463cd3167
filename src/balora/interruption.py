"""What a signal does to a command: it ends at once where nothing is begun yet, and unwinds the stack afterwards.

The command line installs this before it imports anything large. An exception in the middle of an import may be
swallowed by the library that imports, taken for a missing module, or end in the library's compiled code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LINE = b"stopped before anything was written; run the same command again\n"
_AGAIN_AFTER_S = 0.05
_LONGEST_IMPORT_S = 8.0


@dataclass(slots=True)
class _Command:
    """The command that this process runs."""

    process: int = 0
    unwinds: bool = False
    asked_at_s: float | None = None


_COMMAND = _Command()


def stop_on_signals() -> dict[signal.Signals, Any]:
    """Catch SIGINT, SIGTERM and SIGHUP, in the main thread; gives the handlers that were there.

    What the parent told the process to ignore, as nohup does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    _COMMAND.process = os.getpid()
    wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, _stop) for number in wanted}


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Inside the block there is something to leave tidy: signals raise, though never in the middle of an import."""
    before, _COMMAND.unwinds = _COMMAND.unwinds, True
    try:
        yield
    finally:
        _COMMAND.unwinds = before


def _stop(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _COMMAND.process:
        os._exit(128 + number)  # a child that was forked: what its parent began is not its own
    if not _COMMAND.unwinds:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            with contextlib.suppress(OSError):
                os.write(2, _LINE)
        os._exit(128 + number)
    if _imports(frame) and _may_wait():
        threading.Timer(_AGAIN_AFTER_S, os.kill, (os.getpid(), number)).start()
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise SystemExit(128 + number)


def _may_wait() -> bool:
    now_s = time.monotonic()
    if _COMMAND.asked_at_s is None:
        _COMMAND.asked_at_s = now_s
    return now_s - _COMMAND.asked_at_s < _LONGEST_IMPORT_S


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
