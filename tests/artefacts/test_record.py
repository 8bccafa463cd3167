"""run.json tells what a run was, while it runs and after."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from balora.artefacts import RunRecord


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
