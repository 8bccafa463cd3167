"""Where text goes: results to stdout, everything else to stderr, without colour where nobody would see it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from balora.errors import ResourceError
from balora.escaping import visible, without_commands
from balora.redaction import RedactingStream, redacted
from balora.streams import ForgivingStream, let_go
from balora.strict_json import strict_json

_UNSEEN = re.compile(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold as it is and a terminal obeys."""


class ResultStream:
    """Stdout, which says of itself that it could not be written, so that no other disk is blamed for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = False
        """Whether something could not be written."""

    def write(self, text: str) -> int:
        """Write a piece of the result.

        Raises:
            ResourceError: the file or disk that stdout is takes no more; BrokenPipeError where its reader left.
        """
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what is held back; raises as `write` does."""
        with self._told():
            self._stream.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.lost = True
            raise
        except OSError as error:
            self.lost = True
            what = f"the result could not be printed to stdout: {error.strerror or error}"
            raise ResourceError(f"{what}; what the command wrote to its own files is whole") from None

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)


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

    So are commands to the terminal that stand in the words of others; those that draw bars and colours pass. A line on
    stderr that cannot be written is lost; a result that cannot be written to stdout is an error of its own.
    """
    before = sys.stdout, sys.stderr
    results, lines = ResultStream(sys.stdout), ForgivingStream(sys.stderr)
    sys.stdout, sys.stderr = _HarmlessStream(results), _HarmlessStream(lines)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for ours, stream in ((results, before[0]), (lines, before[1])):
            if ours.lost:
                let_go(stream)


class _HarmlessStream(RedactingStream):
    """Writes out what would steer the terminal, too."""

    def write(self, text: str) -> int:
        """Write the text without its secrets and commands."""
        super().write(without_commands(text))
        return len(text)


def _to_stderr(label: str, message: str, style: str) -> None:
    text = Text.assemble((label, style), visible(redacted(message)))
    Console(stderr=True, soft_wrap=True, highlight=False).print(text)
