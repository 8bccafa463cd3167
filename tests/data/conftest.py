"""What the tests of the data room share: files on the spot, and one call from file to text data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from balora.data import DataSettings, TextData, load_text_data

Write = Callable[[str, str | bytes], str]
Load = Callable[..., TextData]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file and gives its path as a recipe would name it."""

    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


@pytest.fixture
def load(write: Write) -> Load:
    """Loads training rows given as a list of objects, under the settings given by name."""

    def load_rows(rows: Sequence[Any], task: str = "generation", **settings: Any) -> TextData:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        return load_text_data(DataSettings(train=write("train.jsonl", lines), **settings), task)

    return load_rows
