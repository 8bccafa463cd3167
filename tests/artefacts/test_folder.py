"""Run folders are made once and never over something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from balora.artefacts import RunRecord, check_free, make_run_folder, take_over
from balora.errors import OutputError


def test_a_new_or_empty_folder_is_free(tmp_path: Path) -> None:
    check_free(tmp_path / "deep" / "new")
    assert not (tmp_path / "deep").exists(), "checking writes nothing"
    check_free(tmp_path)
    assert make_run_folder(tmp_path / "deep" / "new").is_dir()


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"already holds files.*--resume"):
        make_run_folder(tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        check_free(tmp_path / "thesis.tex")
    with pytest.raises(OutputError, match="cannot be written"):
        check_free(tmp_path / "thesis.tex" / "runs")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        check_free(tmp_path / "run")


def test_a_place_that_takes_no_files_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        check_free(Path("/proc/self/runs/r"))


@pytest.mark.parametrize("status", ["interrupted", "failed", "running"])
def test_what_ended_before_its_first_checkpoint_may_be_replaced(status: str, tmp_path: Path) -> None:
    RunRecord.begin("balora train x.yaml").ended(status).write(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    check_free(tmp_path)
    assert (tmp_path / "metrics.jsonl").exists(), "checking removes nothing"
    make_run_folder(tmp_path)
    assert (tmp_path / "metrics.jsonl").exists(), "another process may be writing it"
    take_over(tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("precious", ["adapter_model.safetensors", "checkpoint-3", "notes.txt", "README.md"])
def test_nothing_that_could_be_missed_is_replaced(precious: str, tmp_path: Path) -> None:
    RunRecord.begin("balora train x.yaml").ended("interrupted").write(tmp_path)
    (tmp_path / precious).mkdir() if precious.startswith("checkpoint") else (tmp_path / precious).write_text("x")
    with pytest.raises(OutputError, match="already holds files"):
        make_run_folder(tmp_path)


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_came_to_an_end_of_its_own_stays(status: str, tmp_path: Path) -> None:
    RunRecord.begin("balora train x.yaml").ended(status).write(tmp_path)
    with pytest.raises(OutputError, match=r"already holds files|diverged before its first checkpoint.*delete this one"):
        make_run_folder(tmp_path)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="already holds files"):
        make_run_folder(tmp_path)


def test_what_came_into_being_before_the_folder_was_held_stays(tmp_path: Path) -> None:
    make_run_folder(tmp_path)
    RunRecord.begin("balora train x.yaml").ended("finished").write(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(OutputError, match="already holds files"):
        take_over(tmp_path)
    assert (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("status", ["interrupted", "failed", "running", "diverged"])
def test_a_run_whose_checkpoints_are_gone_is_no_mere_start(status: str, tmp_path: Path) -> None:
    record = RunRecord.begin("balora train x.yaml")
    record.saved(20, tmp_path)
    record.ended(status).write(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(OutputError, match=r"run.json: says that checkpoint-20 was written.*put its checkpoint folders"):
        check_free(tmp_path)
    (tmp_path / "checkpoint-20").mkdir()
    with pytest.raises(OutputError, match="already holds files"):
        check_free(tmp_path)
