"""Result files are never written over, hold no NaN, and are not repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from balora.artefacts.files import Disk
from balora.errors import OutputError, ResourceError
from balora.evaluation.results import check_writable, file_sha256, identity_of, run_id, versions, write_result


def test_a_second_result_stands_beside_the_first(tmp_path: Path) -> None:
    one = write_result(tmp_path / "e", "cola", "abc", {"score": 0.5})
    before = one.path.read_bytes()
    two = write_result(tmp_path / "e", "cola", "abc", {"score": 0.6})
    assert (one.path.name, two.path.name) == ("cola-abc.json", "cola-abc-2.json")
    assert one.path.read_bytes() == before


def test_the_same_result_is_not_written_again(tmp_path: Path) -> None:
    one = write_result(tmp_path, "cola", "abc", {"score": 0.5, "seconds": 1.0})
    same = write_result(tmp_path, "cola", "abc", {"score": 0.5, "seconds": 2.0})
    assert same.identical
    assert same.path == one.path
    assert len(list(tmp_path.iterdir())) == 1


def test_no_data_is_null(tmp_path: Path) -> None:
    written = write_result(tmp_path, "s", "x", {"score": math.nan, "interval": (math.nan, math.inf)})
    document = json.loads(written.path.read_text(), parse_constant=pytest.fail)
    assert document["score"] is None
    assert document["interval"] == [None, None]
    assert write_result(tmp_path, "s", "x", {"score": math.nan, "interval": (math.nan, math.inf)}).identical


def test_a_damaged_earlier_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s-x.json").write_text("{")
    assert write_result(tmp_path, "s", "x", {"score": 1}).path.name == "s-x-2.json"
    assert (tmp_path / "s-x.json").read_text() == "{"


def test_identities_differ_where_anything_does() -> None:
    assert identity_of("cola", {"limit": 1}) == identity_of("cola", {"limit": 1})
    assert identity_of("cola", {"limit": 1}) != identity_of("cola", {"limit": 2})
    assert identity_of("cola", {}) != identity_of("sst2", {})


def test_a_folder_that_cannot_be_is_refused_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        check_writable(tmp_path / "file" / "inside")
    check_writable(tmp_path / "not" / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_of_runs_and_files(tmp_path: Path) -> None:
    assert run_id(tmp_path) is None
    (tmp_path / "run.json").write_text(json.dumps({"started_at": "t", "command": "c", "data": {"fingerprint": "f"}}))
    first = run_id(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"started_at": "u", "command": "c", "data": {"fingerprint": "f"}}))
    assert first is not None
    assert run_id(tmp_path) != first
    assert file_sha256(tmp_path / "none") is None
    assert len(str(file_sha256(tmp_path / "run.json"))) == 64
    assert {"python", "torch", "lm_eval"} <= set(versions())


@pytest.mark.parametrize(
    ("number", "fix"), [(28, "free some space"), (27, r"raise the limit on file sizes \(ulimit -f\)")]
)
def test_a_disk_that_takes_no_result_is_told_with_numbers(
    number: int, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Disk, "write", write)
    with pytest.raises(
        ResourceError, match=rf"the result of validation .*MiB are free.*{fix} or .*--out, then start again"
    ):
        write_result(tmp_path / "out", "validation", "00000000", {})
    assert not list((tmp_path / "out").iterdir())
