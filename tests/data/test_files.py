from __future__ import annotations

import gzip
import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data.files import _unpacked, decode, read_file
from balora.errors import DataError
from tests.data.conftest import Write


def message(error: pytest.ExceptionInfo[DataError]) -> str:
    return str(error.value)


def test_the_hash_is_of_the_bytes_on_disk_even_when_packed(write: Write) -> None:
    packed = gzip.compress(b"hello", mtime=0)
    content, digest = read_file(write("a.txt.gz", packed), "data.train")
    assert content == b"hello"
    assert digest == hashlib.sha256(packed).hexdigest()


def test_a_missing_file_names_the_nearest_one(write: Write) -> None:
    path = write("train.jsonl", "{}")
    with pytest.raises(DataError) as error:
        read_file(path.replace("train", "trian"), "data.train")
    assert "no such file; did you mean 'train.jsonl'?" in message(error)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist either"):
        read_file(str(tmp_path / "nowhere" / "a.csv"), "data.train")


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.zip", "a.csv.bz2"])
def test_unknown_endings_list_the_known_ones(write: Write, name: str) -> None:
    with pytest.raises(DataError, match=r"jsonl"):
        read_file(write(name, "x"), "data.train")


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"x" * 5000, mtime=0)[:-9]])
def test_a_damaged_gzip_file_is_said(write: Write, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.txt\.gz: not a whole gzip file"):
        read_file(write("a.txt.gz", content), "data.train")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"cannot be read"):
        read_file(str(tmp_path / "folder.csv"), "data.train")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_a_wrong_byte_is_located_by_offset_and_line(mark: bytes) -> None:
    content = mark + "gr\u00fcn\nzwei\n".encode() + "dr\u00e4i".encode("latin-1")
    with pytest.raises(DataError) as error:
        decode(content, "utf-8", "a.csv")
    offset = content.index(b"\xe4")
    assert message(error).startswith(f"a.csv:3: byte 0xe4 at offset {offset} is not utf-8; set data.encoding: latin-1")


def test_the_byte_order_mark_is_left_out() -> None:
    assert decode(b"\xef\xbb\xbfabc", "utf-8", "a") == "abc"


def test_wide_encodings_are_recognised_and_readable() -> None:
    content = "abc".encode("utf-16")
    with pytest.raises(DataError, match=r"set data.encoding: utf-16"):
        decode(content, "utf-8", "a.csv")
    assert decode(content, "utf-16", "a.csv") == "abc"


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(DataError, match=r"'utf8000' is no known encoding"):
        decode(b"", "utf8000", "a.csv")


def test_a_device_is_no_file(tmp_path: Path) -> None:
    link = tmp_path / "train.jsonl"
    link.symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"train\.jsonl: cannot be read: a device and no file; name the data file"):
        read_file(str(link), "data.train")


def test_a_pipe_to_which_nobody_writes_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match=r"cannot be read: a pipe and no file"):
        read_file(str(tmp_path / "train.jsonl"), "data.train")


def test_a_link_to_a_file_is_followed(write: Write, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(write("a.txt", "hello"))
    assert read_file(str(tmp_path / "link.txt"), "data.train")[0] == b"hello"


def test_a_file_over_the_cap_is_refused_unread_and_the_cap_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)  # a hole: no disk is taken
    with pytest.raises(
        DataError, match=r"train\.jsonl: has 4\.0 GiB; expected at most 4 GiB.*raise BALORA_MAX_FILE_GIB"
    ):
        read_file(str(path), "data.train")
    monkeypatch.setenv("BALORA_MAX_FILE_GIB", "0.001")
    path.write_bytes(b"x" * (1 << 20))
    assert len(read_file(str(path), "data.train")[0]) == 1 << 20
    path.write_bytes(b"x" * (2 << 20))
    with pytest.raises(DataError, match=r"expected at most 0\.001 GiB"):
        read_file(str(path), "data.train")
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv("BALORA_MAX_FILE_GIB", wrong)
        with pytest.raises(DataError, match=r"BALORA_MAX_FILE_GIB: '.+' is no size"):
            read_file(str(path), "data.train")


def test_unpacking_stops_at_the_cap(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_MAX_FILE_GIB", "0.001")
    with pytest.raises(
        DataError, match=r"f\.jsonl\.gz: .* unpack to more than 0\.00 GiB; expected at most that; split"
    ):
        read_file(write("f.jsonl.gz", gzip.compress(b" " * (3 << 20))), "data.train")


def test_what_no_data_grow_by_is_refused_long_before_it_fills_memory(write: Write) -> None:
    bomb = gzip.compress(b" " * (64 << 20), mtime=0) * 8  # half a MiB; half a GiB unpacked
    packed = write("f.jsonl.gz", bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"250 times as much; no data grow like that"):
            read_file(packed, "data.train")
        assert tracemalloc.get_traced_memory()[1] < 400 << 20
    finally:
        tracemalloc.stop()


@given(parts=st.lists(st.binary(max_size=200_000), min_size=1, max_size=4), zeros=st.integers(0, 3))
def test_every_gzip_file_unpacks_as_gzip_does(parts: list[bytes], zeros: int) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts) + bytes(zeros)
    assert _unpacked(packed, "a.txt.gz") == gzip.decompress(packed)
