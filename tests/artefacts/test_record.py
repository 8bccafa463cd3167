"""run.json tells what a run was, while it runs and after."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import torch

from balora.artefacts import RunRecord, read_record
from balora.artefacts.record import source_commit


def test_a_record_begins_and_ends(tmp_path: Path) -> None:
    record = RunRecord.begin("balora train x.yaml")
    record.write(tmp_path)
    begun = json.loads((tmp_path / "run.json").read_text())
    assert (begun["status"], begun["ended_at"], begun["command"]) == ("running", None, "balora train x.yaml")
    assert torch.__version__.startswith(begun["versions"]["torch"].split("+")[0])
    assert begun["hardware"]["threads"] >= 1
    record.ended("finished", train_seconds=1.5, results={"eval_loss": float("nan")}).write(tmp_path)
    ended = json.loads((tmp_path / "run.json").read_text())
    assert ended["status"] == "finished"
    assert ended["started_at"] == begun["started_at"] <= ended["ended_at"]
    assert ended["results"] == {"eval_loss": None}


def test_legs_add_up_and_the_first_start_stays(tmp_path: Path) -> None:
    first = RunRecord.begin("balora train x.yaml")
    first.ended("interrupted", train_seconds=2.0, peak_cpu_gib=3.0).write(tmp_path)
    earlier = {**read_record(tmp_path), "started_at": "2020-01-01T00:00:00+00:00"}
    second = RunRecord.begin("balora train x.yaml --resume", earlier=earlier, from_step=7)
    second.ended("finished", train_seconds=1.5, peak_cpu_gib=1.0).write(tmp_path)
    both = read_record(tmp_path)
    assert both["started_at"] == "2020-01-01T00:00:00+00:00"
    assert both["train_seconds"] == 3.5
    assert both["peak_cpu_gib"] == 3.0
    assert [(leg["from_step"], leg["status"], leg["train_seconds"]) for leg in both["legs"]] == [
        (0, "interrupted", 2.0),
        (7, "finished", 1.5),
    ]


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    (tmp_path / "run.json").write_text('{"status": "run')
    assert read_record(tmp_path) == {}


def repository(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)


def test_the_commit_is_that_of_baloras_own_checkout_or_none(tmp_path: Path) -> None:
    repository(tmp_path)
    installed = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "balora"
    own = tmp_path / "src" / "balora"
    for package in (installed, own):
        package.mkdir(parents=True)
    assert source_commit(installed) is None, "an environment inside somebody's repository"
    assert source_commit(own) is None, "no project file says that this is balora"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thesis"\n')
    assert source_commit(own) is None
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "balora"\n')
    commit = source_commit(own)
    assert commit is not None
    assert len(commit) == 40
