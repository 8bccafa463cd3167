"""Result files: one JSON document per suite in RUN/evaluations, never written over."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from balora.artefacts import check_name, check_no_links, disk_in_words, write_json_atomically
from balora.artefacts.layout import RUN_RECORD
from balora.data.fingerprint import bytes_sha256
from balora.errors import OutputError
from balora.evaluation.transcripts import sha256_of
from balora.strict_json import finite_or_null, read_json

FOLDER = "evaluations"
FORMAT = 1
"""Version of the document."""
_PACKAGES = ("balora", "torch", "transformers", "peft", "lm_eval", "math-verify", "scikit-learn", "scipy")
_NOT_COMPARED = ("written_at", "seconds", "file", "transcripts", "texts_reused")
"""What two runs of the same evaluation may differ in."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where a result stands."""

    path: Path
    identical: bool
    """Whether an earlier file says exactly the same, so that none was written."""


def versions() -> dict[str, str]:
    """Python and the packages that decide a score."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_id(folder: Path) -> str | None:
    """A short name of a run: of what it was started with and when; None where there is no record of it."""
    try:
        record = read_json(folder / RUN_RECORD)
        return sha256_of([record["started_at"], record["command"], record["data"].get("fingerprint")])[:12]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def file_sha256(path: Path) -> str | None:
    """The sha256 of a file's bytes, hex; None where there is none."""
    return bytes_sha256(path.read_bytes()) if path.is_file() else None


def identity_of(suite: str, settings: Mapping[str, Any]) -> str:
    """Eight characters that two evaluations share exactly where they ask the same of the same model."""
    return sha256_of([suite, dict(settings)])[:8]


def check_writable(folder: Path) -> None:
    """Refuse a result folder that cannot be made, or from which a link leads elsewhere; leaves no trace.

    Raises:
        OutputError: something in the way is a file, or cannot be written, or a link would be written through.
    """
    import tempfile

    check_name(folder, "--out")
    check_no_links(folder, "--out")
    lowest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not lowest.is_dir():
        raise OutputError.at("--out", f"'{lowest}' is a file", "name a folder")
    try:
        with tempfile.TemporaryFile(dir=lowest):
            pass
    except OSError as error:
        raise OutputError.at("--out", f"'{lowest}' cannot be written ({error.strerror})", "name another") from None


def write_result(folder: Path, suite: str, identity: str, document: Mapping[str, Any]) -> Written:
    """Write `SUITE-IDENTITY.json`, or a numbered sibling where an earlier result of the same evaluation differs.

    Numbers that are not finite become null. A document that says the same as an earlier one is not written again.

    Raises:
        ResourceError: the disk is full or read-only, or the file may not become so large.
    """
    with disk_in_words(folder, f"the result of {suite}", elsewhere="--out"):
        return _written(folder, suite, identity, document)


def _written(folder: Path, suite: str, identity: str, document: Mapping[str, Any]) -> Written:
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(finite_or_null(dict(document))))
    number = 1
    while True:
        path = folder / f"{suite}-{identity}{f'-{number}' if number > 1 else ''}.json"
        if not path.exists():
            stamped = {"format": FORMAT, **plain, "written_at": datetime.now(UTC).isoformat(timespec="seconds")}
            write_json_atomically(path, stamped)
            return Written(path, identical=False)
        if _same(path, plain):
            return Written(path, identical=True)
        number += 1


def _same(path: Path, document: Mapping[str, Any]) -> bool:
    try:
        earlier = read_json(path)
    except (OSError, ValueError):
        return False
    return _compared(earlier) == _compared({"format": FORMAT, **document})


def _compared(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in _NOT_COMPARED}
