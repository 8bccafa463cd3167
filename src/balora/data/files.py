"""Local files: their bytes, unpacked and decoded, or an error that says where they are not what they should be."""

from __future__ import annotations

import codecs
import gzip
import io
import math
import os
import stat
import zlib
from pathlib import Path

from balora.data.fingerprint import bytes_sha256
from balora.data.sources import FILE_ENDINGS, file_ending
from balora.errors import DataError, did_you_mean
from balora.paths import user_path
from balora.regular_files import UnfitFileError, read_regular

SIZE_VARIABLE = "BALORA_MAX_FILE_GIB"
"""Environment variable: the size that a data file may have, packed and unpacked."""
USUAL_MOST_GIB = 4.0
"""Where the variable is not set. A file is held in memory whole, beside its text and its rows."""
MOST_TIMES = 250
"""What a packed file of more than `FREELY_UNPACKED_BYTES` may grow by; texts grow by 3 to 30, the packer's most is
about 1030."""
FREELY_UNPACKED_BYTES = 256 << 20
_STEP_BYTES = 1 << 20
_GIB = 1 << 30

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
        DataError: when there is no such file, it cannot be read or unpacked, is too large in either form, or its
            ending is unknown.
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

    A regular file of at most `BALORA_MAX_FILE_GIB` (4 GiB where that is not set).

    Raises:
        DataError: when there is no such file, it cannot be read, or it is larger or no file.
    """
    path = user_path(name)
    most = most_bytes()
    try:
        content = read_regular(path, most)
    except UnfitFileError as error:
        raise _unfit(error, path, name, most) from None
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


def most_bytes() -> int:
    """The size that a data file may have.

    Raises:
        DataError: the variable that sets it is no size.
    """
    given = os.environ.get(SIZE_VARIABLE)
    try:
        gib = USUAL_MOST_GIB if given is None else float(given)
    except ValueError:
        gib = math.nan
    if not 0 < gib < 1 << 20:
        raise DataError.at(
            SIZE_VARIABLE, f"'{given}' is no size", f"give it a number of GiB, or unset it ({USUAL_MOST_GIB:g})"
        )
    return int(gib * _GIB)


def _unfit(error: UnfitFileError, path: Path, name: str, most: int) -> DataError:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        fix = "name the data file itself; write what a program puts out to a file first"
        return DataError.at(name, f"cannot be read: {error.strerror}", fix)
    what = f"has {found.st_size / _GIB:.1f} GiB; expected at most {most / _GIB:.3g} GiB, as it is held in memory whole"
    return DataError.at(name, what, _RAISE_IT)


_RAISE_IT = f"split the file, or raise {SIZE_VARIABLE} where memory is plenty"


def _unpacked(content: bytes, name: str) -> bytes:
    """All members of a gzip file; unpacking stops where it passes what is allowed, and nothing larger is ever held."""
    most = most_bytes()
    allowed = min(most, max(FREELY_UNPACKED_BYTES, MOST_TIMES * len(content)))
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            while part := packed.read(_STEP_BYTES):
                parts.append(part)
                size += len(part)
                if size > allowed:
                    raise _explodes(content, name, allowed, most)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError.at(name, f"not a whole gzip file ({error})", "pack it again, or drop the .gz") from None
    return b"".join(parts)


def _explodes(content: bytes, name: str, allowed: int, most: int) -> DataError:
    found = f"{len(content) / _GIB:.3f} GiB unpack to more than {allowed / _GIB:.2f} GiB"
    if allowed == most:
        return DataError.at(name, f"{found}; expected at most that", _RAISE_IT)
    what = f"{found}, {MOST_TIMES} times as much; no data grow like that"
    return DataError.at(name, what, "look into it; unpack it yourself where it is what you want")


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
