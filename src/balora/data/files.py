"""Local files: their bytes, unpacked and decoded, or an error that says where they are not what they should be."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

from balora.data.fingerprint import bytes_sha256
from balora.data.sources import FILE_ENDINGS, file_ending
from balora.errors import DataError, did_you_mean
from balora.paths import user_path

_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks of encodings other than UTF-8; the longer ones first, as they start alike."""


def read_file(name: str, split_key: str) -> tuple[bytes, str]:
    """The content of a file, unpacked where it ends in .gz, and the sha256 of its bytes on disk.

    Raises:
        DataError: when there is no such file, it cannot be read or unpacked, or its ending is unknown.
    """
    path = user_path(name)
    if file_ending(name) not in FILE_ENDINGS:
        known = ", ".join(ending[1:] for ending in FILE_ENDINGS)
        raise DataError.at(
            name,
            f"unknown kind of file '{''.join(path.suffixes)}'",
            f"name a file that ends in {known}, or .gz of these",
        )
    content, digest = read_bytes(name, split_key)
    return (_unpacked(content, name) if path.suffix.lower() == ".gz" else content), digest


def read_bytes(name: str, split_key: str) -> tuple[bytes, str]:
    """The bytes of a file as they lie on disk, and their sha256.

    Raises:
        DataError: when there is no such file, or it cannot be read.
    """
    path = user_path(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError.at(name, "no such file", _nearby(path) or f"check {split_key}") from None
    except OSError as error:
        raise DataError.at(name, f"cannot be read ({error.strerror})", f"check {split_key}") from None
    return content, bytes_sha256(content)


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either"
    names = [entry.name for entry in path.parent.iterdir() if file_ending(entry.name) in FILE_ENDINGS]
    return did_you_mean(path.name, names) if names else f"the folder {path.parent} holds no data file"


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError.at(name, f"not a whole gzip file ({error})", "pack it again, or drop the .gz") from None


def decode(content: bytes, encoding: str, name: str) -> str:
    """The text of a file; a UTF-8 byte order mark is left out.

    Raises:
        DataError: naming the byte and the line that do not fit the encoding.
    """
    try:
        codec = codecs.lookup(encoding)
        utf8 = codec.name == "utf-8"
        if not getattr(codec, "_is_text_encoding", True) or codec.name == "undefined":
            raise LookupError(encoding)  # base64 and others, which Python keeps among the encodings
    except (LookupError, ValueError):
        raise DataError.at(
            "data.encoding", f"'{encoding[:80]}' is no known encoding of text", "use utf-8, latin-1, cp1252 or utf-16"
        ) from None
    mark = next((mark for mark in _WIDE_MARKS if content.startswith(mark)), None)
    if utf8 and mark:
        raise DataError.at(name, f"starts with a {_WIDE_MARKS[mark]} mark", f"set data.encoding: {_WIDE_MARKS[mark]}")
    skipped = len(codecs.BOM_UTF8) if utf8 and content.startswith(codecs.BOM_UTF8) else 0
    try:
        return content[skipped:].decode(encoding)
    except UnicodeDecodeError as error:
        offset = skipped + error.start
        line = content.count(b"\n", 0, offset) + 1
        found = f"byte 0x{content[offset]:02x} at offset {offset} is not {encoding}"
        raise DataError.at(f"{name}:{line}", found, "set data.encoding: latin-1, or whatever it was saved in") from None
    except UnicodeError as error:
        what = f"is not {encoding} ({str(error)[:80]})"
        raise DataError.at(name, what, "set data.encoding to what it was saved in") from None
