"""A disk that gives out is told from our own mistakes, in one line with numbers."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from balora.artefacts import disk_trouble


@pytest.mark.parametrize(
    ("number", "words", "fix"),
    [
        (errno.ENOSPC, "No space left on device", "free some space"),
        (errno.EDQUOT, "Disk quota exceeded", "quota"),
        (errno.EROFS, "Read-only file system", "writable"),
        (errno.ENOENT, "No such file or directory", "put the folder"),
        (errno.EIO, "Input/output error", "look after the disk"),
    ],
)
def test_what_happened_is_said_with_numbers_and_a_way_out(number: int, words: str, fix: str, tmp_path: Path) -> None:
    error = OSError(number, "whatever")
    found = disk_trouble(error, tmp_path, what="checkpoint-8", needed_bytes=3 << 20, last_good="checkpoint-6")
    assert found is not None
    assert found.exit_code == 4
    for part in (
        "checkpoint-8 could not be written",
        words,
        "3.0 MiB",
        "free",
        "checkpoint-6 is whole",
        fix,
        "--resume",
    ):
        assert part in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SafetensorError("I/O error: No space left on device (os error 28)"), "No space left on device"),
        (RuntimeError("write failed: Disk quota exceeded"), "Disk quota exceeded"),
        (SafetensorError("I/O error: whatever (os error 30)"), "Read-only file system"),
        (OSError("Error writing bytes to file: No space left on device"), "No space left on device"),
    ],
)
def test_libraries_that_make_text_of_it_are_understood(error: Exception, words: str, tmp_path: Path) -> None:
    assert words in str(disk_trouble(error, tmp_path, what="the run"))


def test_a_cause_is_understood(tmp_path: Path) -> None:
    outer = RuntimeError("could not save")
    outer.__cause__ = OSError(errno.EROFS, "read-only")
    assert "Read-only file system" in str(disk_trouble(outer, tmp_path, what="the run"))


def test_other_failures_are_left_alone(tmp_path: Path) -> None:
    assert disk_trouble(ValueError("a bug"), tmp_path, what="the run") is None


def test_a_folder_that_is_gone_has_no_numbers(tmp_path: Path) -> None:
    found = disk_trouble(FileNotFoundError(errno.ENOENT, "gone"), tmp_path / "gone", what="the run")
    assert "MiB" not in str(found)
    assert "start again" in str(found)


def test_a_file_elsewhere_is_named_and_the_run_folder_not_blamed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "cache" / "states.safetensors"
    error = OSError(errno.ENOSPC, "No space left on device", str(elsewhere))
    found = str(disk_trouble(error, tmp_path / "run", what="the run", last_good="checkpoint-6"))
    assert found.startswith(f"'{elsewhere}': No space left on device; checkpoint-6 is whole; free some space")
    assert "could not be written" not in found
    own = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run" / "metrics.jsonl"))
    assert str(disk_trouble(own, tmp_path / "run", what="the run")).startswith(f"'{tmp_path / 'run'}': the run could")
