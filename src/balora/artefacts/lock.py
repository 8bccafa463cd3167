"""One process at a time in a run folder."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from balora.artefacts.files import write_json_atomically
from balora.artefacts.layout import OWNER
from balora.errors import OutputError
from balora.strict_json import read_json


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it however the process ends.

    A note of `signed` that a killed process left on this machine is taken over. File systems without locks (some
    network ones) protect only against other machines.

    Raises:
        OutputError: another process holds it, here or on another machine, or has just removed it.
    """
    gone = OutputError.at("output.dir", f"'{folder}' was removed by another process", "run the same command again")
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise gone from None
    try:
        owner = _owner_of(folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                known = f" (process {owner['pid']})" if "pid" in owner else ""
                what = f"another process{known} is training in '{folder}'"
                raise OutputError.at("output.dir", what, "wait for it, or set output.dir to another folder") from None
        if not folder.exists() or not os.path.samestat(os.fstat(handle), folder.stat()):
            raise gone
        if owner and owner.get("host") != platform.node():
            what = f"process {owner.get('pid')} on '{owner.get('host')}' is training in '{folder}', or was killed there"
            raise OutputError.at("output.dir", what, f"if it is gone, delete '{folder / OWNER}' and start again")
        yield
    finally:
        os.close(handle)


@contextmanager
def signed(folder: Path) -> Iterator[None]:
    """Leave a note of this process and machine in a folder that it holds; other machines see no lock of the system."""
    write_json_atomically(folder / OWNER, {"host": platform.node(), "pid": os.getpid()})
    try:
        yield
    finally:
        # The folder may be gone, or on a disk that has become read-only; the note then says what is true.
        with suppress(OSError):
            (folder / OWNER).unlink()


def _owner_of(folder: Path) -> dict[str, Any]:
    try:
        found = read_json(folder / OWNER)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
