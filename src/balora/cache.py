"""Where balora keeps what it can compute again, and how nobody ever finds half of it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from balora.paths import user_path


def cache_folder() -> Path:
    """The folder BALORA_CACHE names, else `~/.cache/balora`; it need not exist yet."""
    chosen = os.environ.get("BALORA_CACHE")
    return user_path(chosen) if chosen else Path.home() / ".cache" / "balora"


_FOUND: Counter[str] = Counter()
_MADE: Counter[str] = Counter()


def count_use(kind: str, *, found: bool) -> None:
    """Note that something of a kind was found in a cache, or had to be computed."""
    (_FOUND if found else _MADE)[kind] += 1


def uses() -> Mapping[str, tuple[int, int]]:
    """Kind -> how often this process found it in a cache, and how often it computed it."""
    return {kind: (_FOUND[kind], _MADE[kind]) for kind in sorted(_FOUND.keys() | _MADE.keys())}


@contextmanager
def computed_by_one(path: Path) -> Iterator[None]:
    """Hold what a cache is about to look for and to compute, so that others wait for it instead of doing it too.

    Where nothing can be written or locked, everybody computes; entries are whole files either way.
    """
    lock = path.parent / f".{path.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(lock)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _locked(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == lock.stat().st_ino:
                return handle
        os.close(handle)  # whoever held it before has taken the file away meanwhile


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its name when the block ends well and goes where it does not.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def staged_folder(home: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """A folder to fill beside `home`, which takes its name when the block ends well and goes where it does not.

    Raises:
        OSError: it cannot be written.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        yield staged
        publish_folder(staged, home, is_whole)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def publish_folder(staged: Path, home: Path, is_whole: Callable[[Path], bool]) -> None:
    """Give a filled folder its name; what stands there stays where it is whole, and is replaced where it is not.

    Raises:
        OSError: it cannot be written.
    """
    staged.chmod(0o755)  # made for the owner alone; a cache may be shared
    if home.is_file():
        home.unlink()
    elif not is_whole(home):
        shutil.rmtree(home, ignore_errors=True)
    try:
        staged.rename(home)
    except OSError:
        if not is_whole(home):  # else another process was faster
            raise
