"""Builds of balora in which one line is another: for rows that look at it from processes of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

import balora
from tests.faults.selections import BROKEN_PROJECT, BROKEN_SOURCE, ROOT


def edited(file: str, old: str, new: str) -> Callable[[], AbstractContextManager[None]]:
    """A copy of balora with one place of one file replaced; processes that rows start take balora from there."""

    @contextlib.contextmanager
    def applied() -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="broken-") as name:
            copy = Path(name, "balora")
            shutil.copytree(Path(balora.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
            replace_once(copy / file, old, new)
            with mock.patch.dict(os.environ, {BROKEN_SOURCE: name}):
                yield

    return applied


def edited_project(old: str, new: str) -> Callable[[], AbstractContextManager[None]]:
    """The same for pyproject.toml."""

    @contextlib.contextmanager
    def applied() -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="broken-") as name:
            for file in ("pyproject.toml", "constraints.txt"):
                shutil.copy(ROOT / file, name)
            replace_once(Path(name, "pyproject.toml"), old, new)
            with mock.patch.dict(os.environ, {BROKEN_PROJECT: name}):
                yield

    return applied


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} holds {old!r} {text.count(old)} times; the breakage needs another place"
    path.write_text(text.replace(old, new), encoding="utf-8")
