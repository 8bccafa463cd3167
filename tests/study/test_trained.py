"""Other measurements of a run begin from its trained weights; nothing that is there is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from balora.study import StudyResults, parse_study, run_study, status
from balora.study.store import OUTCOME
from balora.study.trained import TRAINED, adopt_trained, note_trained, read_trained
from tests.study.test_measures import TINY

SCORES = {"eval_accuracy": 0.5}


def run_folder(folder: Path, *, done: bool = True) -> Path:
    (folder / "evaluations").mkdir(parents=True)
    (folder / "evaluations" / "cola-1.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"12345678")
    (folder / "audit.json").write_text("{}")
    note_trained(folder, "training", SCORES)
    if done:
        (folder / OUTCOME).write_text("{}")
    return folder


def test_what_was_trained_is_known_while_its_weights_are_there(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    assert read_trained(folder, "training") == SCORES
    assert read_trained(folder, "another") is None
    assert read_trained(tmp_path / "nowhere", "training") is None
    (folder / "adapter_model.safetensors").write_bytes(b"1234")
    assert read_trained(folder, "training") is None
    (folder / TRAINED).write_text("[1")
    assert read_trained(folder, "training") is None


def test_a_copy_holds_all_but_the_measurements(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "runs" / "old")
    before = {path.name: path.stat().st_mtime_ns for path in old.iterdir()}
    new = tmp_path / "runs" / "new"
    assert adopt_trained(new, "another") is None
    assert adopt_trained(new, "training") == SCORES == read_trained(new, "training")
    assert {path.name for path in new.iterdir()} == {"adapter_model.safetensors", "evaluations", TRAINED}
    assert {path.name: path.stat().st_mtime_ns for path in old.iterdir()} == before
    unfinished = run_folder(tmp_path / "others" / "old", done=False)
    adopt_trained(unfinished.with_name("new"), "training")
    assert not (unfinished.with_name("new") / "evaluations").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_folder(tmp_path / "runs" / "old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(OSError, match="no space"):
        adopt_trained(tmp_path / "runs" / "new", "training")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["old"]


def test_a_run_from_before_counts_where_it_measured_nothing(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "training")
    (old / TRAINED).unlink()
    (old / OUTCOME).write_text(json.dumps({"identity": "training", "scores": SCORES}))
    assert adopt_trained(tmp_path / "new", "training") == SCORES
    (old / OUTCOME).write_text(json.dumps({"identity": "other", "scores": SCORES}))
    assert adopt_trained(tmp_path / "newer", "other") is None


def carried_out(folder: Path, text: str) -> StudyResults:
    results = run_study(parse_study(text), folder=folder, jobs=1, show_progress=False)
    assert [run.state for run in results.runs] == ["done"], results.runs[0].error
    return results


def test_another_audit_trains_nothing_and_says_what_a_fresh_run_says(tmp_path: Path) -> None:
    other = TINY.replace("max_rows: 8", "max_rows: 6")
    (first,) = carried_out(tmp_path / "one", TINY).runs
    (second,) = carried_out(tmp_path / "one", other).runs
    (fresh,) = carried_out(tmp_path / "two", other).runs
    assert first.folder is not None
    assert second.folder is not None
    assert fresh.folder is not None
    assert first.identity != second.identity == fresh.identity
    records = [json.loads((folder / "run.json").read_text()) for folder in (first.folder, second.folder)]
    assert records[0]["started_at"] == records[1]["started_at"]
    shared = status(tmp_path / "one").shared
    assert shared["training"] == (1, 0)
    measured = [{k: v for k, v in run.scores.items() if not k.startswith("cost.")} for run in (second, fresh)]
    assert measured[0] == measured[1]
    assert json.loads((second.folder / "audit.json").read_text())["settings"]["max_rows"] == 6
    assert json.loads((first.folder / "audit.json").read_text())["settings"]["max_rows"] == 8
    stamp = (first.folder / OUTCOME).stat().st_mtime_ns
    (again,) = carried_out(tmp_path / "one", TINY).runs  # and back: nothing is done
    assert again == first
    assert (first.folder / OUTCOME).stat().st_mtime_ns == stamp
