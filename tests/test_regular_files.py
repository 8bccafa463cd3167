from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from balora.regular_files import UnfitFileError, read_regular
from balora.strict_json import LARGEST_BYTES, read_json


def test_a_file_is_read_up_to_the_size_and_not_a_byte_further(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_regular(tmp_path / "a", 5) == b"12345"
    with pytest.raises(UnfitFileError, match=r"at most 4 bytes are read, it has 5"):
        read_regular(tmp_path / "a", 4)


def test_no_more_memory_is_taken_than_the_file_is_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    tracemalloc.start()
    try:
        read_regular(tmp_path / "a", 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_files_that_say_they_are_empty_end_at_the_size_too() -> None:
    with pytest.raises(UnfitFileError, match=r"at most 10 bytes are read"):
        read_regular(Path("/proc/self/status"), 10)


def test_records_that_are_pipes_devices_or_huge_are_unreadable_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    for name in ("pipe", "zero", "huge"):
        with pytest.raises(OSError, match=r"no file|are read"):
            read_json(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")
