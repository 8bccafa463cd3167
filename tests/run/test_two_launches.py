"""Two launches into one folder: the second is refused, and nothing of the first changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from balora.artefacts import RunRecord, signed, sole_use
from balora.errors import OutputError
from balora.run import train, training
from tests.run.test_resuming import everything
from tests.run.test_training import recipe_for


def begin_elsewhere(folder: Path) -> None:
    """What another process has written in its first steps."""
    folder.mkdir()
    RunRecord.begin("balora train x.yaml").write(folder)
    for name in ("recipe.yaml", "recipe.resolved.yaml", "corrupted.json", "metrics.jsonl"):
        (folder / name).write_text('{"step": 1}\n')


def meanwhile(monkeypatch: pytest.MonkeyPatch, happening: Any) -> None:
    """Let something happen between a launch's first look at its folder and its first write."""
    original = training.make_trainer

    def make(*args: Any, **kwargs: Any) -> Any:
        happening()
        return original(*args, **kwargs)

    monkeypatch.setattr(training, "make_trainer", make)


def test_a_second_launch_changes_nothing_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, recipe = tmp_path / "run", recipe_for("classification", tmp_path)
    held: list[Any] = []
    first: dict[str, str] = {}

    def launch() -> None:
        begin_elsewhere(folder)
        for hold in (sole_use(folder), signed(folder)):
            hold.__enter__()
            held.append(hold)
        first.update(everything(folder))

    meanwhile(monkeypatch, launch)
    with pytest.raises(OutputError, match=r"another process .* is training"):
        train(recipe, show_progress=False)
    assert everything(folder) == first
    assert "metrics.jsonl" in {Path(name).name for name in first}


def test_a_launch_that_failed_takes_no_folder_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    held: list[Any] = []

    def launch() -> None:
        folder.mkdir()
        held.append(sole_use(folder))
        held[0].__enter__()
        raise RuntimeError("out of luck")

    meanwhile(monkeypatch, launch)
    recipe = recipe_for("classification", tmp_path)
    with pytest.raises(RuntimeError, match="luck"):
        train(recipe, show_progress=False)
    assert folder.is_dir()
    held[0].__exit__(None, None, None)
    monkeypatch.undo()
    assert train(recipe, show_progress=False).status == "finished"
