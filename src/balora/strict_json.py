"""JSON for files and other programs: written without secrets and NaN, read with one kind of error for what is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from balora.redaction import redacted_document
from balora.regular_files import read_regular

LARGEST_BYTES = 256 << 20
"""No file that balora writes for itself comes near; a larger one was not written by it."""


def strict_json(document: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    """The document as indented JSON without secrets; numbers that are not finite become null, as strict JSON has none.

    Args:
        document: mappings, sequences, texts and numbers.
        default: what stands for anything else; left out, it is refused.
    """
    plain = finite_or_null(redacted_document(document))
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=default) + "\n"


def read_json(path: Path) -> Any:
    """The document in a file of balora's own or of a model's folder: a regular file of at most 256 MiB.

    Raises:
        OSError: the file cannot be read, is a pipe or a device, or larger.
        ValueError: it is no JSON.
    """
    return parse_json(read_regular(path, LARGEST_BYTES))


def parse_json(text: str | bytes) -> Any:
    """The document in a text, or in bytes of UTF-8.

    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply

    Raises:
        ValueError: it is none, or lies in more brackets than Python can follow.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def finite_or_null(value: Any) -> Any:
    """The same document with NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {key: finite_or_null(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
