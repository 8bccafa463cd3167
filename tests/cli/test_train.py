"""`balora train` calls the library once and prints what it returns."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from balora.cli.main import main
from balora.recipe import dump_recipe, load_recipe, parse_recipe
from tests.run.test_training import recipe_for


def test_a_run_is_told_in_text(balora, fake_run, folder: Path) -> None:
    outcome = balora("train", "recipe.yaml", "adapter.r=4")
    assert outcome.code == 0
    assert outcome.out == "finished after 1.5 s: runs/r\n  eval_accuracy  0.5\n  eval_loss      nan\n"
    assert "chatter of a library" in outcome.err
    ((name, (recipe,), options),) = fake_run.calls
    assert name == "train"
    assert recipe == load_recipe("recipe.yaml", ["adapter.r=4"])
    assert (options["resume"], options["show_progress"]) == (False, True)
    assert options["recipe_text"].startswith((folder / "recipe.yaml").read_text().rstrip())
    assert "# changed on the command line: adapter.r=4" in options["recipe_text"]


def test_a_run_is_told_in_json_and_nothing_else(balora, fake_run) -> None:
    document = balora("train", "recipe.yaml", "training.warmup_ratio=0.1", "--json").document
    assert document["status"] == "finished"
    assert document["folder"] == "runs/r"
    assert document["train_seconds"] == 1.5
    assert document["metrics"] == {"eval_accuracy": 0.5, "eval_loss": None}
    assert document["notes"] == ["read me"]


def test_options_may_stand_between_overrides(balora, fake_run) -> None:
    assert balora("train", "recipe.yaml", "adapter.r=4", "--resume", "--quiet", "adapter.seed=1").code == 0
    ((_, (recipe,), options),) = fake_run.calls
    assert (recipe.adapter.r, recipe.adapter.seed) == (4, 1)
    assert (options["resume"], options["show_progress"]) == (True, False)


def test_a_dry_run_prints_the_resolved_recipe_and_the_plan(balora, fake_run, folder: Path) -> None:
    outcome = balora("train", "recipe.yaml", "adapter.r=4", "--dry-run")
    assert outcome.code == 0
    text, _, plan = outcome.out.rpartition("\n\n")
    assert parse_recipe(text) == load_recipe("recipe.yaml", ["adapter.r=4"])
    assert plan == "8 of 100 parameters train\n"
    assert fake_run.calls[0][0] == "plan"
    document = balora("train", "recipe.yaml", "--dry-run", "--json").document
    assert document["plan"] == "8 of 100 parameters train"
    assert document["notes"] == ["read me"]
    assert document["sample"] == {"tokens": 2}
    assert document["resources"] == {"steps": 7}
    assert document["recipe"]["model"]["name_or_path"] == "some/model"
    assert [file.name for file in folder.iterdir()] == ["recipe.yaml"]


def test_a_shipped_recipe_trains_by_its_name(balora, fake_run) -> None:
    assert balora("train", "classify-your-csv", "data.train=mine.csv").code == 0
    ((_, (recipe,), _),) = fake_run.calls
    assert (recipe.data.train, recipe.output.dir) == ("mine.csv", Path("runs/classify-your-csv"))


def test_a_reader_of_the_progress_that_leaves_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does its leaving count as a signal: `2>&1 | head` once ended a run as if it had been terminated."""
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe_for("classification", tmp_path)))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        code = main(["train", str(path)])
    assert code == 0
    assert "finished after" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
