"""Run folders are made once and never over something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from balora.artefacts import check_free, check_resumable, list_checkpoints, make_run_folder
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


def test_the_newest_checkpoint_is_the_highest_number(tmp_path: Path) -> None:
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-final"):
        (tmp_path / name).mkdir()
    assert check_resumable(tmp_path).name == "checkpoint-10"
    assert {folder.name for folder in list_checkpoints(tmp_path)} == {"checkpoint-9", "checkpoint-10"}


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no run folder"):
        check_resumable(tmp_path / "missing")
    with pytest.raises(OutputError, match="holds no checkpoint"):
        check_resumable(tmp_path)
