"""Whatever a file, a word of the command line or a model says: no command of it reaches the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from balora.cli.main import main
from tests.support.folders import save_tiny_body

EVIL = "\x1b[2J\x1b]0;owned\x07one\x9b\u202e"
ROWS = [{"text": f"row {n} {EVIL}", "label": "two" if n % 2 else EVIL} for n in range(8)]


def _recipe(folder: Path, rows: list[dict[str, str]] = ROWS, **data: str) -> str:
    save_tiny_body(folder / "base", "roberta")
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sections = {
        "task": "classification",
        "model": {"name_or_path": str(folder / "base")},
        "data": {"train": str(folder / "a.jsonl"), **data},
        "training": {"max_steps": 1, "per_device_train_batch_size": 4, "save_strategy": "no"},
        "output": {"dir": str(folder / "run")},
    }
    (folder / "recipe.yaml").write_text(json.dumps(sections))
    return str(folder / "recipe.yaml")


def _model(folder: Path) -> str:
    _recipe(folder)
    return str(folder / "base")


def _model_type(folder: Path) -> list[str]:
    recipe = _recipe(folder)
    config = folder / "base" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": EVIL}))
    return ["validate", recipe]


WAYS = {
    "a label": lambda folder: ["validate", _recipe(folder)],
    "a column": lambda folder: ["validate", _recipe(folder, [{"text": "a", EVIL: "b"}] * 4)],
    "a key": lambda folder: ["validate", _recipe(folder), f"adapter.{EVIL}=1"],
    "a key and --debug": lambda folder: ["validate", _recipe(folder), f"adapter.{EVIL}=1", "--debug"],
    "a file": lambda folder: ["validate", _recipe(folder, train=EVIL)],
    "a recipe": lambda folder: ["validate", EVIL],
    "a suite": lambda folder: ["evaluate", "--model", _model(folder), "--suite", EVIL],
    "a command": lambda folder: [EVIL],
    "an option": lambda folder: ["train", f"--{EVIL}"],
    "a type of model": _model_type,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_terminal_is_not_steered(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    main(WAYS[way](tmp_path))
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "owned" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text), text
