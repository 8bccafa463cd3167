"""A damaged or edited record is told by file, key, what was found and what was expected."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from balora.artefacts import RunRecord, checked_record, read_record


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "is a list, expected a mapping"),
        ({}, "is an empty mapping"),
        ({"data": []}, "'data' is a list, expected a mapping"),
        ({"model": 3}, "'model' is 3, expected a mapping"),
        ({"legs": 7}, "'legs' is 7, expected a list"),
        ({"legs": ["x"]}, r"'legs\[0\]' is 'x', expected a mapping"),
        ({"legs": [{"from_step": "2"}]}, r"'legs\[0\].from_step' is '2', expected a whole number"),
        ({"legs": [{"from_step": True}]}, r"'legs\[0\].from_step' is true, expected a whole number"),
        ({"legs": [{"differences": [{"where": 1}]}]}, r"'legs\[0\].differences\[0\].what' is missing, expected a text"),
        ({"data": {"train": 5}}, "'data.train' is 5, expected a mapping or null"),
        ({"data": {"train": {"rows": 3}}}, "'data.train.where' is missing, expected a text"),
        ({"data": {"fingerprint": 1}}, "'data.fingerprint' is 1, expected a text"),
        ({"data": {"label_names": [1]}}, "'data.label_names' holds something that is no text"),
        ({"model": {"base": []}}, "'model.base' is a list, expected a mapping or null"),
        ({"train_seconds": "long"}, "'train_seconds' is 'long', expected a number or null"),
        ({"versions": None}, "'versions' is null, expected a mapping"),
        ({"status": 3}, "'status' is 3, expected a text"),
    ],
)
def test_what_is_no_record_is_told(document: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(document))
    record, faults = checked_record(tmp_path)
    assert record == read_record(tmp_path) == {}
    assert any(re.search(said, str(fault)) for fault in faults), [str(fault) for fault in faults]
    assert all(fault.where == str(tmp_path / "run.json") and fault.fix for fault in faults)


def test_what_a_run_writes_is_one(tmp_path: Path) -> None:
    record = RunRecord.begin("balora train x.yaml")
    record.saved(3, tmp_path)
    record.ended("finished", train_seconds=1.5).write(tmp_path)
    found, faults = checked_record(tmp_path)
    assert faults == []
    assert found["legs"][0]["saved_step"] == 3
    (tmp_path / "run.json").write_bytes(b"\xff\x00")
    assert "is no JSON" in str(checked_record(tmp_path)[1][0])
    (tmp_path / "run.json").unlink()
    assert "is missing" in str(checked_record(tmp_path)[1][0])
