"""Finished runs on a shared file system or in a bucket: copied there when they end, fetched where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fsspec

from balora.cache import staged_folder
from balora.errors import InputError

RUNS = "runs"
"""The folder of run folders, here and there."""
OUTCOME = "outcome.json"
"""In a run folder, once everything is done."""


def check_store(url: str) -> None:
    """Refuse a URL that nothing here can write to.

    Raises:
        InputError: an unknown protocol, or a missing package for it.
    """
    try:
        fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise InputError.at("--store", f"'{url}' cannot be used ({error})", "name a folder or an fsspec URL") from None


def send_done(url: str, folder: Path) -> None:
    """Copy a finished run folder to `<url>/runs/<identity>`, its outcome last: half a copy never counts."""
    files, root = fsspec.core.url_to_fs(url)
    target = f"{root.rstrip('/')}/{RUNS}/{folder.name}"
    ordered = sorted(path for path in folder.rglob("*") if path.is_file())
    ordered.sort(key=lambda path: path == folder / OUTCOME)
    for path in ordered:
        name = f"{target}/{path.relative_to(folder).as_posix()}"
        files.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
        files.put_file(str(path), name)


def fetch_done(url: str, folder: Path, identities: Sequence[str]) -> list[str]:
    """Bring finished runs that are not here; gives their identities."""
    files, root = fsspec.core.url_to_fs(url)
    fetched = []
    for identity in identities:
        here, there = folder / RUNS / identity, f"{root.rstrip('/')}/{RUNS}/{identity}"
        if (here / OUTCOME).is_file() or not files.exists(f"{there}/{OUTCOME}"):
            continue
        with staged_folder(here, lambda run: (run / OUTCOME).is_file()) as staged:
            for name in files.find(there):
                path = staged / name[len(there) :].lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(name, str(path))
        fetched.append(identity)
    return fetched
