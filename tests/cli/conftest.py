"""The command line, run in this process on an empty folder."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from balora.cli.main import main

GOOD_RECIPE = """task: classification
model:
  name_or_path: some/model
data:
  train: train.csv
  columns: {text: text, label: label}
"""


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Stdout as the one JSON document that it must be."""
        return json.loads(self.out)


SAMPLE = types.SimpleNamespace(lines=lambda: ["train row 0: 2 tokens"], as_dict=lambda: {"tokens": 2})


@dataclass
class FakeRun:
    """Stands in for `balora.run`; remembers how it was called and can be told to fail."""

    calls: list[tuple[str, tuple, dict]] = field(default_factory=list)
    failure: BaseException | None = None

    def _answer(self, name: str, *arguments: Any, **options: Any) -> None:
        self.calls.append((name, arguments, options))
        sys.stdout.write("chatter of a library\n")
        if self.failure is not None:
            raise self.failure

    def plan(self, recipe: Any) -> Any:
        self._answer("plan", recipe)
        return types.SimpleNamespace(
            text="8 of 100 parameters train", notes=("read me",), resources=self.plan_resources(recipe), sample=SAMPLE
        )

    def plan_resources(self, recipe: Any) -> Any:
        self._answer("plan_resources", recipe)
        return types.SimpleNamespace(
            lines=lambda: ["memory: about 3 GiB"], warnings=["too much"], as_dict=lambda: {"steps": 7}
        )

    def examine(self, recipe: Any) -> Any:
        self._answer("examine", recipe)
        return types.SimpleNamespace(notes=["data.train: 3 rows are cut"], sample=SAMPLE)

    def train(self, recipe: Any, **options: Any) -> Any:
        self._answer("train", recipe, **options)
        metrics = {"eval_accuracy": 0.5, "eval_loss": float("nan")}
        return types.SimpleNamespace(
            folder=Path("runs/r"), metrics=metrics, train_seconds=1.5, status="finished", notes=("read me",)
        )


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    fake = FakeRun()
    module = types.ModuleType("balora.run")
    module.plan, module.examine, module.train = fake.plan, fake.examine, fake.train
    module.plan_resources = fake.plan_resources
    monkeypatch.setitem(sys.modules, "balora.run", module)
    return fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with one good recipe."""
    monkeypatch.chdir(tmp_path)
    for name in ("BALORA_DEBUG", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "0")
    (tmp_path / "recipe.yaml").write_text(GOOD_RECIPE)
    return tmp_path


@pytest.fixture
def balora(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(*words: str) -> Outcome:
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
