"""Builds of balora in which one line is another: for rows that look at it from processes of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import balora
from tests.faults.selections import BROKEN_PROJECT, BROKEN_SOURCE, ROOT


@dataclass(frozen=True)
class Edit:
    """A copy of balora with one place of one file replaced; processes that rows start take balora from there."""

    file: str
    old: str
    new: str

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="broken-") as name:
            copy = Path(name, "balora")
            shutil.copytree(Path(balora.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
            (copy / self.file).write_text(self.text(), encoding="utf-8")
            with mock.patch.dict(os.environ, {BROKEN_SOURCE: name}):
                yield

    def text(self) -> str:
        """The file with the place replaced."""
        return replaced_once(Path(balora.__file__).parent / self.file, self.old, self.new)


@dataclass(frozen=True)
class ProjectEdit:
    """The same for pyproject.toml."""

    old: str
    new: str

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="broken-") as name:
            shutil.copy(ROOT / "constraints.txt", name)
            Path(name, "pyproject.toml").write_text(self.text(), encoding="utf-8")
            with mock.patch.dict(os.environ, {BROKEN_PROJECT: name}):
                yield

    def text(self) -> str:
        """The file with the place replaced."""
        return replaced_once(ROOT / "pyproject.toml", self.old, self.new)


def replaced_once(path: Path, old: str, new: str) -> str:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} holds {old!r} {text.count(old)} times; the breakage needs another place"
    return text.replace(old, new)
