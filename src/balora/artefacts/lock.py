"""One process at a time in a run folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balora.errors import OutputError


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it however the process ends.

    File systems without locks (some network ones) protect nothing here, and are used all the same.

    Raises:
        OutputError: another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                what = f"another process is training in '{folder}'"
                raise OutputError.at("output.dir", what, "wait for it, or set output.dir to another folder") from None
        yield
    finally:
        os.close(handle)
