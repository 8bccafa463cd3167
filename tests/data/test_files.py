from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from balora.data.files import decode, read_file
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
