"""`balora study`: its output, its exit codes, and the studies that come along."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from balora.cli.main import main
from balora.study import STUDIES, parse_study
from balora.study.engines.local import LocalEngine
from balora.study.hold import held_study
from tests.support import fake_worker

STUDY = """name: small
base:
  task: classification
  model: {name_or_path: some/model}
  data: {train: train.csv, validation: train.csv, columns: {text: text, label: label}}
axes:
  method: [{label: LoRA, adapter.method: lora}, {label: PiSSA, adapter.method: pissa}]
seeds: 2
metrics: [eval_accuracy]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LocalEngine, "worker", (sys.executable, fake_worker.__file__))
    (tmp_path / "train.csv").write_text("text,label\na,0\nb,1\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def test_a_study_from_start_to_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "run", "study.yaml", "--jobs", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"small: 4 done (4 runs) in {here}/studies/small"
    lines = [line for line in err.splitlines() if line.startswith("[")]
    assert [line[:5] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert "LoRA, seed 0: accuracy 9" in lines[0]
    assert "left" in lines[0]
    assert "left" not in lines[-1]
    rows = list(csv.DictReader((here / "studies" / "small" / "runs.csv").read_text().splitlines()))
    assert [(row["method"], row["seed"], row["state"]) for row in rows] == [
        ("LoRA", "0", "done"),
        ("LoRA", "1", "done"),
        ("PiSSA", "0", "done"),
        ("PiSSA", "1", "done"),
    ]
    assert main(["study", "run", "study.yaml"]) == 0
    assert "4 done already" in capsys.readouterr().err


def test_a_dry_run_lists_runs_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "run", "study.yaml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.count("waiting") == 4
    assert out.splitlines()[-1] == f"small: 4 runs, 0 done, in {here}/studies/small"
    assert not (here / "studies").exists()
    assert main(["study", "run", "study.yaml", "--quiet"]) == 0
    capsys.readouterr()
    (here / "study.yaml").write_text(STUDY.replace("seeds: 2", "seeds: 3"))
    assert main(["study", "run", "study.yaml", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["done"]) == (6, 4)


def test_failed_runs_end_with_5_and_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "study.yaml").write_text(STUDY.replace("adapter.method: pissa", "adapter.method: pissa, adapter.r: 13"))
    assert main(["study", "run", "study.yaml", "--jobs", "1"]) == 5
    out, err = capsys.readouterr()
    assert "failed: PiSSA, seed 0: rank 13 is unlucky" in out
    assert "FAILED: rank 13 is unlucky" in err
    assert "error: 2 of 4 runs failed" in err
    assert main(["study", "status", "studies/small", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"done": 2, "failed": 2}
    assert document["failed"][0]["error"] == "rank 13 is unlucky"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "studdy.yaml"], "did you mean 'study.yaml'?"),
        (["run", "study.yaml", "--profile", "mini"], "there is no profile 'mini'"),
        (["run", "study.yaml", "--engine", "slurm"], "choose local or ray"),
        (["run", "study.yaml", "--address", "10.0.0.1:6379"], "--engine ray"),
        (["status", "."], "holds no results of a study"),
        (["show", "nonsense"], "no shipped study has this name"),
    ],
)
def test_bad_input_ends_with_2(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert main(["study", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not (here / "studies").exists()


def test_a_second_launcher_ends_with_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "run", "study.yaml", "--quiet"]) == 0
    with held_study(here / "studies" / "small"):
        assert main(["study", "run", "study.yaml", "--quiet"]) == 2
    assert "is running this study" in capsys.readouterr().err


def test_shipped_studies_are_listed_shown_and_copied(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["study", "copy", "demo"]) == 0
    capsys.readouterr()
    assert main(["study", "show", "demo"]) == 0
    assert capsys.readouterr().out == (here / "demo.yaml").read_text()
    assert main(["study", "copy", "demo"]) == 2


@pytest.mark.parametrize("name", [study.name for study in STUDIES.all()])
def test_a_shipped_study_can_be_read(name: str) -> None:
    study = next(study for study in STUDIES.all() if study.name == name)
    assert study.title
    assert parse_study(study.text).settings.name == name


def test_without_a_command_it_says_what_there_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study"]) == 0
    out, err = capsys.readouterr()
    assert "status" in out
    assert "error" not in err
