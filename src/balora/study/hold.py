"""One launcher at a time in a study folder; the others learn who it is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balora.errors import OutputError
from balora.strict_json import read_json

LOCK = "study.lock"


@contextmanager
def held_study(folder: Path) -> Iterator[None]:
    """Hold a study folder for this process; the system lets go of it however the process ends.

    Raises:
        OutputError: another launcher holds it; names its process and its machine.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = holder_of(folder) or "another process"
            fix = "wait for it, or look at it with `balora study status`"
            raise OutputError.at(folder, f"{who} is running this study", fix) from None
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a launcher is at work in a study folder."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def holder_of(folder: Path) -> str | None:
    """The launcher's process and machine in words; None where nobody wrote them down."""
    try:
        found = read_json(folder / LOCK)
        return f"process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
