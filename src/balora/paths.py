"""Paths as users write them, with `~`; what no file system could hold is told in our own words."""

from __future__ import annotations

import os
from pathlib import Path

from balora.errors import InputError

LONGEST_NAME_BYTES = 255
LONGEST_PATH_BYTES = 4095


def user_path(name: Path | str, *, key: str | None = None) -> Path:
    """The path with the home folder in the place of `~`; it need not exist.

    Args:
        name: as the user wrote it.
        key: the setting that holds it, for messages; left out, they begin with the path.

    Raises:
        InputError: the home folder is not known, or no path can be like that.

    >>> user_path("data/train.csv")
    PosixPath('data/train.csv')
    """
    text = os.fspath(name)
    where = key or _short(text)
    if "\0" in text:
        raise InputError.at(where, "holds a character of code 0, which no path can", "take it out")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise InputError.at(where, f"the home folder of '{_short(user)}' is not known", "write it out") from None
    try:
        lengths = [len(os.fsencode(part)) for part in path.parts]
    except UnicodeEncodeError:
        raise InputError.at(where, "holds half a character, which no path can", "write it again") from None
    if any(length > LONGEST_NAME_BYTES for length in lengths):
        what = f"a name of {max(lengths)} bytes is longer than the {LONGEST_NAME_BYTES} that file systems take"
        raise InputError.at(where, what, "check it")
    if sum(lengths) + len(lengths) > LONGEST_PATH_BYTES:
        what = f"a path of more than {LONGEST_PATH_BYTES} bytes is longer than systems take"
        raise InputError.at(where, what, "check it")
    return path


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"
