"""Where text goes: results to stdout, everything else to stderr, without colour where nobody would see it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from balora.escaping import visible, without_commands
from balora.redaction import RedactingStream, redacted
from balora.strict_json import strict_json

_UNSEEN = re.compile(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold as it is and a terminal obeys."""


def print_result(text: str, *, styled: bool = False) -> None:
    """Write a result to stdout; what would steer the terminal is written out.

    Args:
        text: the result.
        styled: it holds colours of our own, and texts of others have been made `visible`.
    """
    text = redacted(text) if styled else visible(redacted(text))
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write one JSON document to stdout; a number that is not finite becomes null, because JSON has no word for it.

    Control characters stand in it as escapes.
    """
    text = strict_json(document, default=str)
    sys.stdout.write(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_notes(notes: Iterable[str]) -> None:
    """Write each different note to stderr once."""
    for note in dict.fromkeys(notes):
        _to_stderr("note: ", note, "yellow")


def print_error(message: str) -> None:
    """Write an error to stderr, on one line."""
    _to_stderr("error: ", " ".join(message.split()), "bold red")


def print_message(message: str) -> None:
    """Write a remark to stderr."""
    _to_stderr("", message, "")


def two_columns(rows: Iterable[tuple[str, str]], indent: str = "") -> str:
    """Rows of name and text, the texts below each other."""
    table = list(rows)
    width = max((len(name) for name, _ in table), default=0)
    return "\n".join(f"{indent}{name:<{width}}  {text}".rstrip() for name, text in table)


@contextlib.contextmanager
def chatter_to_stderr() -> Iterator[None]:
    """Send to stderr whatever the libraries print, so that stdout holds results only.

    What the libraries announce to each other's programmers is left out altogether.
    """
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


def quiet_libraries(quiet: bool) -> None:
    """Keep download bars out of logs; what the user has set stays."""
    if quiet or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


@contextlib.contextmanager
def no_secrets_shown() -> Iterator[None]:
    """Take secrets out of all that Python code prints meanwhile, the libraries' logs and tracebacks included.

    So are commands to the terminal that stand in the words of others; those that draw bars and colours pass.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _HarmlessStream(sys.stdout), _HarmlessStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _HarmlessStream(RedactingStream):
    """Writes out what would steer the terminal, too."""

    def write(self, text: str) -> int:
        """Write the text without its secrets and commands."""
        super().write(without_commands(text))
        return len(text)


def _to_stderr(label: str, message: str, style: str) -> None:
    text = Text.assemble((label, style), visible(redacted(message)))
    Console(stderr=True, soft_wrap=True, highlight=False).print(text)
