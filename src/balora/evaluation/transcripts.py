"""What a model wrote, item by item, in a JSONL file that survives a stop: done items are never asked again."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from balora.artefacts import disk_in_words
from balora.errors import OutputError
from balora.strict_json import parse_json


@dataclass(frozen=True, slots=True)
class Written:
    """One generated text."""

    prompt_sha256: str
    sample: int
    """0 for the first text to this prompt, 1 for the second, ..."""
    settings_sha256: str
    """Of everything else that decides the text: model, adapter, generation settings."""
    prompt: str
    text: str


def sha256_of(value: Any) -> str:
    """The sha256 of plain values, hex; the order of keys does not matter.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Transcripts:
    """Generated texts of one evaluation, appended as they come.

    Without a path nothing is kept. A line that was cut off by a stop is overwritten by nothing and read by nobody: the
    next line starts on its own.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        """`settings`: what must agree for an earlier text to count, with the model's and the adapter's identity.

        Raises:
            OutputError: the file cannot be read.
        """
        self.path = path
        self.settings_sha256 = sha256_of(dict(settings))
        self._done: dict[tuple[str, int], str] = {}
        self.reused = 0
        """How many texts came from the file."""
        if path is not None and path.exists():
            self._read(path)

    def known(self, prompt: str, settings: Mapping[str, Any], sample: int) -> str | None:
        """The text that an earlier run wrote to this prompt under these settings, if any."""
        text = self._done.get((_key(prompt, settings), sample))
        self.reused += text is not None
        return text

    def text(self, prompt: str, settings: Mapping[str, Any], sample: int) -> str:
        """The text that was kept.

        Raises:
            KeyError: there is none.
        """
        return self._done[_key(prompt, settings), sample]

    def keep(self, prompt: str, settings: Mapping[str, Any], text: str) -> None:
        """Remember the next text to a prompt, and append it to the file."""
        key = _key(prompt, settings)
        sample = next(number for number in itertools.count() if (key, number) not in self._done)
        self._done[key, sample] = text
        if self.path is None:
            return
        line = asdict(Written(key, sample, self.settings_sha256, prompt, text))
        broken = self.path.exists() and not _ends_with_newline(self.path)
        in_words = disk_in_words(self.path.parent, "what the model wrote", elsewhere="--out")
        with in_words, _appending(self.path) as stream:
            stream.write(("\n" if broken else "") + json.dumps(line, ensure_ascii=False) + "\n")

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError.at(path, f"cannot be read ({error})", "move it away, or choose another folder") from None
        for line in lines:
            try:
                found = Written(**parse_json(line))
            except (ValueError, TypeError):  # cut off when the process was killed
                continue
            if found.settings_sha256 == self.settings_sha256:
                self._done[found.prompt_sha256, found.sample] = found.text


def _key(prompt: str, settings: Mapping[str, Any]) -> str:
    return sha256_of([prompt, dict(settings)])


def _appending(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(0, 2)
        if stream.tell() == 0:
            return True
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
