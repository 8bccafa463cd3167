"""Files that are read whole: regular ones, up to a size; devices, pipes and what never ends are refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class UnfitFileError(OSError):
    """There is something of this name, but no file that can be read whole; `strerror` says what it is."""


def open_regular(path: Path) -> BinaryIO:
    """A file, opened for reading; links are followed.

    Raises:
        UnfitFileError: it is no regular file.
        OSError: it cannot be opened.
    """
    # Without waiting: a pipe to which nobody writes would keep us here.
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    kind = next((name for test, name in _KINDS if test(mode)), "a device")
    raise UnfitFileError(errno.EINVAL, f"{kind} and no file", str(path))


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a file, links followed.

    >>> read_regular(Path("/dev/zero"), 1024)
    Traceback (most recent call last):
    balora.regular_files.UnfitFileError: [Errno 22] a device and no file: '/dev/zero'

    Args:
        path: of the file.
        most_bytes: a larger file is refused before it is read, and one that grows past it while it is read.

    Raises:
        UnfitFileError: it is no regular file, or a larger one.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size, content = os.fstat(file.fileno()).st_size, b""
        # As much as it says it holds and a byte more, since what is asked for is taken of memory; /proc says 0.
        while size <= most_bytes and (part := file.read(max(size - len(content), 1 << 16) + 1)):
            content = content + part if content else part
            size = max(size, len(content))
    if size > most_bytes:
        raise UnfitFileError(errno.EFBIG, f"at most {most_bytes} bytes are read, it has {size}", str(path))
    return content
