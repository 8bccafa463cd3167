"""Fingerprints: of a file's bytes, and of the token ids and labels that training sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def bytes_sha256(content: bytes) -> str:
    """The sha256 of a file's bytes, hex.

    >>> bytes_sha256(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()


def rows_sha256(rows: Iterable[tuple[np.ndarray, np.ndarray]]) -> str:
    """The sha256 over (token ids, labels) of every row, hex; the same on every machine.

    Lengths go in as well, so that moving a token from one row to the next changes the result. A class id or a score
    is an array of one number.
    """
    digest = hashlib.sha256()
    for ids, labels in rows:
        exact = "<f8" if labels.dtype.kind == "f" else "<i8"
        digest.update(np.array([len(ids), len(labels)], dtype="<i8").tobytes())
        digest.update(ids.astype("<i8").tobytes())
        digest.update(labels.astype(exact).tobytes())
    return digest.hexdigest()
