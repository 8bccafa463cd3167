"""Small files are whole or absent, and JSON is strict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.strict_json import finite_or_null


def test_text_replaces_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    write_text_atomically(path, "one")
    write_text_atomically(path, "zwei ü")
    assert path.read_text(encoding="utf-8") == "zwei ü"
    assert [entry.name for entry in tmp_path.iterdir()] == ["note.md"]


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json_atomically(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json_atomically(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    document = {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}}
    assert finite_or_null(document) == {"a": None, "b": [None, 1.5], "c": {"d": None}}
    write_json_atomically(tmp_path / "x.json", document)
    json.loads((tmp_path / "x.json").read_text(), parse_constant=lambda word: pytest.fail(word))
