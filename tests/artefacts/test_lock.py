"""A run folder belongs to one process at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from balora.artefacts import signed, sole_use
from balora.errors import OutputError


def test_a_folder_in_use_is_refused_by_process_and_free_again_afterwards(tmp_path: Path) -> None:
    with (
        sole_use(tmp_path),
        signed(tmp_path),
        pytest.raises(OutputError, match=rf"another process \(process {os.getpid()}\) is training"),
        sole_use(tmp_path),
    ):
        pass
    with sole_use(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_signed_is_taken_over(tmp_path: Path) -> None:
    with signed(tmp_path):
        note = (tmp_path / ".owner.json").read_text()
    (tmp_path / ".owner.json").write_text(note)
    with sole_use(tmp_path), signed(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_machine_is_respected_and_the_way_out_is_said(tmp_path: Path) -> None:
    (tmp_path / ".owner.json").write_text(json.dumps({"host": "elsewhere", "pid": 17}))
    with (
        pytest.raises(OutputError, match=r"process 17 on 'elsewhere' .* delete '.*\.owner\.json'"),
        sole_use(tmp_path),
    ):
        pass
    (tmp_path / ".owner.json").write_text("{")
    with sole_use(tmp_path):
        pass


def test_a_folder_that_was_removed_meanwhile_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    with pytest.raises(OutputError, match="was removed by another process"), sole_use(folder):
        pass
    folder.mkdir()

    def late(*args: object) -> None:
        folder.rmdir()
        folder.mkdir()

    monkeypatch.setattr("fcntl.flock", late)
    with pytest.raises(OutputError, match="was removed by another process"), sole_use(folder):
        pass
