"""When the disk gives out: what happened, in numbers, and what can be done."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balora.errors import ResourceError, causes, system_error

MIB = 1 << 20
_FIXES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "make it writable again",
    errno.EACCES: "make it writable again",
    errno.EPERM: "make it writable again",
    errno.ENOENT: "put the folder or its disk back",
    errno.EIO: "look after the disk",
    errno.ESTALE: "mount it again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


def disk_trouble(
    error: BaseException,
    folder: Path,
    *,
    what: str,
    needed_bytes: int = 0,
    last_good: str | None = None,
    elsewhere: str = "",
    done: str = "written",
) -> ResourceError | None:
    """The error to end a run with when its folder cannot be written; None for other failures.

    Where the system names a file elsewhere, the error is of that file, and the run folder is not blamed.

    Args:
        error: what was raised.
        folder: the run folder.
        what: what was being written.
        needed_bytes: about how much that is; 0 where it is small.
        last_good: the newest checkpoint that is whole.
        elsewhere: the option that names another folder, where the command has one.
        done: what could not be done with it.
    """
    number = next((number for cause in causes(error) if (number := system_error(cause)) is not None), None)
    if number is None:
        return None
    sizes = [f"it needs about {needed_bytes / MIB:.1f} MiB"] if needed_bytes else []
    free = _free_bytes(folder)
    sizes += [] if free is None else [f"{free / MIB:.1f} MiB are free"]
    numbers = f" ({', '.join(sizes)})" if sizes else ""
    outside = _path_outside(error, folder)
    kept = f"{last_good} is whole; " if last_good else ""
    fix = _FIXES.get(number, "see to the disk")
    fix += f" or name a folder on another disk with {elsewhere}" if elsewhere else ""
    go_on = "then run the same command with --resume" if last_good else "then start again"
    if outside is not None:
        return ResourceError(f"'{outside}': {os.strerror(number)}; {kept}{fix}, {go_on}")
    return ResourceError(
        f"'{folder}': {what} could not be {done}: {os.strerror(number)}{numbers}; {kept}{fix}, {go_on}"
    )


@contextmanager
def disk_in_words(folder: Path, what: str, *, elsewhere: str = "", last_good: str | None = None) -> Iterator[None]:
    """Turn what the system says of a disk into an error for people.

    Raises:
        ResourceError: the disk is full, read-only or gone.
    """
    try:
        yield
    except OSError as error:
        raise (disk_trouble(error, folder, what=what, elsewhere=elsewhere, last_good=last_good) or error) from error


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _path_outside(error: BaseException, folder: Path) -> str | None:
    """The file that the system's error names, where it is not in the run folder."""
    names = [cause.filename for cause in causes(error) if isinstance(cause, OSError)]
    name = next((os.fsdecode(name) for name in names if isinstance(name, str | bytes)), None)
    run = os.path.realpath(folder)
    if name is None or os.path.commonpath([run, os.path.realpath(name)]) == run:
        return None
    return name
