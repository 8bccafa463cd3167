"""Change files so that a reader never sees half of one; the only place that writes what a run must not lose."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from balora.redaction import redacted
from balora.strict_json import strict_json

LEFTOVER = re.compile(r"\.(?P<name>[A-Za-z0-9_.-]+)\.(?P<kind>partial|removed)-[0-9a-f]{8}")
"""Names of what is not whole yet, or no longer; nobody else uses them."""


class Disk:
    """Every change to a run folder, one method each, so that a test can let each of them fail."""

    def make_folder(self, path: Path) -> None:
        """A new folder; its parent must be there."""
        path.mkdir()

    def write(self, path: Path, content: bytes) -> None:
        """A file with this content, new or over what it held."""
        with path.open("wb") as stream:
            stream.write(content)

    def append(self, path: Path, content: bytes) -> None:
        """More at the end of a file."""
        with path.open("ab") as stream:
            stream.write(content)

    def sync(self, path: Path) -> None:
        """Wait until a file, or the list of names in a folder, is on the disk itself."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Another name in the same file system, over a file that had it."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """One file less."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """One empty folder less."""
        path.rmdir()


disk = Disk()
"""What every function below goes through."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write beside the final name, without any secret, flush to disk, rename.

    A link that stands in the file's place is replaced, never followed.
    """
    beside = hidden_beside(path, "partial")
    try:
        disk.write(beside, redacted(text).encode("utf-8"))
        disk.sync(beside)
        disk.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    disk.sync(path.parent)


def write_json_atomically(path: Path, document: Any) -> None:
    """The document as indented JSON; numbers that are not finite become null, as strict JSON has none."""
    write_text_atomically(path, strict_json(document))


def append_text(path: Path, text: str) -> None:
    """Add to a file that may lose its last line in a power cut."""
    disk.append(path, text.encode("utf-8"))


def hidden_beside(path: Path, kind: str) -> Path:
    """A name of our own beside a path, for what is `partial` or `removed`."""
    return path.with_name(f".{path.name}.{kind}-{secrets.token_hex(4)}")


def write_into_staged(path: Path, content: bytes) -> None:
    """A file of a folder that nobody reads before `publish`."""
    disk.write(path, content)


def begin_staged(path: Path) -> Path:
    """A hidden folder in which what will be `path` is put together."""
    staged = hidden_beside(path, "partial")
    disk.make_folder(staged)
    return staged


def sync_tree(folder: Path) -> None:
    """Wait until every file in a folder, and every name, is on the disk itself."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            sync_tree(entry)
        else:
            disk.sync(entry)
    disk.sync(folder)


def sync_files(folder: Path) -> None:
    """Wait until the files directly in a folder, and their names, are on the disk itself."""
    for entry in sorted(folder.iterdir()):
        if entry.is_file():
            disk.sync(entry)
    disk.sync(folder)


def publish(staged: Path, final: Path) -> None:
    """Give a staged folder, all of which is on the disk, its name: the one moment at which it begins to count.

    What had the name steps aside first, and `recover_leftovers` brings it back should the process end in between.
    """
    before = hidden_beside(final, "removed") if final.exists() else None
    if before is not None:
        disk.rename(final, before)
    disk.rename(staged, final)
    disk.sync(final.parent)
    if before is not None:
        _remove_tree(before)


def move(old: Path, new: Path) -> None:
    """Give a file or folder another name in the same file system."""
    disk.rename(old, new)
    disk.sync(new.parent)


def take_away(folder: Path) -> None:
    """Remove a folder in such an order that it never stands there half: first its name, then what is in it."""
    hidden = hidden_beside(folder, "removed")
    disk.rename(folder, hidden)
    _remove_tree(hidden)


def leftovers(folder: Path) -> list[Path]:
    """What a process that was killed left behind: files and folders with names that only this module gives."""
    entries = folder.iterdir() if folder.is_dir() else []
    return sorted(entry for entry in entries if LEFTOVER.fullmatch(entry.name) and not entry.is_symlink())


def remove_leftover(entry: Path) -> None:
    """Remove one of `leftovers`."""
    if entry.is_dir():
        _remove_tree(entry)
    else:
        disk.remove(entry)


def _remove_tree(folder: Path) -> None:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            _remove_tree(entry)
        else:
            disk.remove(entry)
    disk.remove_folder(folder)
