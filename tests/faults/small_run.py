"""The run that is disturbed: a tiny classifier with dropout, PiSSA and every term, a checkpoint at every step."""

from __future__ import annotations

import json
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from balora.artefacts import list_checkpoints, newest_complete
from balora.cli.main import main
from balora.recipe import Recipe, dump_recipe
from tests.faults.forked import Child, Ended
from tests.support.folders import save_tiny_body

STEPS = 12
CLOCKS = ("runtime", "per_second", "_seconds")


class SmallRun:
    """Makes recipes for one base model, and knows what an undisturbed run gives."""

    def __init__(
        self, folder: Path, *, svd: str = "exact", steps: int = STEPS, validation_rows: int = 0, **training: Any
    ) -> None:
        self.folder, self.svd = folder, svd
        folder.mkdir(parents=True, exist_ok=True)
        self.base = save_tiny_body(folder / "base", "roberta", hidden_dropout_prob=0.1)
        self.data = folder / "train.jsonl"
        self.data.write_text(rows_of_data(24))
        self.validation: Path | None = None
        if validation_rows:
            self.validation = folder / "validation.jsonl"
            self.validation.write_text(rows_of_data(validation_rows))
        self.training = {
            "max_steps": steps,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "logging_steps": 5,
            "save_strategy": "steps",
            "save_steps": 1,
            "save_total_limit": 3,
            "learning_rate": 1e-3,
            **training,
        }
        self.whole = folder / "whole"
        ended = self.start(self.whole).wait()
        assert ended.code == 0, ended.printed
        self.seconds = ended.seconds

    def recipe(self, run: Path) -> Path:
        """A recipe file for a run folder, beside it."""
        sections: dict[str, Any] = {
            "task": "classification",
            "model": {"name_or_path": str(self.base)},
            "data": {"train": str(self.data), "max_length": 48},
            "adapter": {"r": 4, "svd": self.svd, "dropout": 0.1},
            "training": self.training,
            "output": {"dir": str(run)},
        }
        if self.validation is not None:
            sections["data"]["validation"], sections["evaluation"] = str(self.validation), {"batch_size": 1}
        recipe = Recipe(**sections)
        path = run.with_name(f"{run.name}.yaml")
        path.write_text(dump_recipe(recipe))
        return path

    def start(self, run: Path, *, resume: bool = False, before: Any = None) -> Child:
        """`balora train` in a child; `before` is called in it first."""
        recipe = self.recipe(run)
        return Child(partial(command, recipe, resume, before), run.with_name(f"{run.name}.log"))

    def finish(self, run: Path) -> Ended:
        """What a user would do: the same command with --resume, or from the beginning where there is nothing."""
        return self.start(run, resume=run.is_dir() and any(run.iterdir())).wait()

    def differs(self, run: Path) -> str | None:
        """How a finished run differs from the undisturbed one; None where adapter, optimizer and log are equal."""
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            if not (run / name).exists():
                return f"{name} is missing"
        if (run / "adapter_model.safetensors").read_bytes() != (self.whole / "adapter_model.safetensors").read_bytes():
            return "the adapter differs"
        mine, theirs = list_checkpoints(run)[0], list_checkpoints(self.whole)[0]
        if mine.name != theirs.name:
            return f"the last checkpoint is {mine.name}"
        for name in ("trainable.safetensors", "optimizer.safetensors", "optimizer.json", "scheduler.json"):
            if (mine / name).read_bytes() != (theirs / name).read_bytes():
                return f"{name} differs"
        if logged(run) != logged(self.whole):
            return "the log lines differ"
        hidden = [entry.name for entry in run.iterdir() if entry.name.startswith(".")]
        return f"left behind: {hidden}" if hidden else None


def rows_of_data(count: int) -> str:
    rows = [{"text": f"row {n} {'good' if n % 2 else 'bad'}", "label": n % 2} for n in range(count)]
    return "\n".join(json.dumps(row) for row in rows)


def command(recipe: Path, resume: bool, before: Any) -> int:
    if before is not None:
        before()
    return main(["train", str(recipe), *(["--resume"] if resume else [])])


def logged(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if not key.endswith(CLOCKS)}
        for line in lines
        if "train_runtime" not in line
    ]


def wait_for_checkpoint(run: Path, child: Child, timeout_s: float = 60.0) -> None:
    limit = time.monotonic() + timeout_s
    while time.monotonic() < limit and not list(run.glob("checkpoint-*")):
        time.sleep(0.002)


def published_are_good(run: Path) -> str | None:
    """What is wrong with the published checkpoints; each must verify, and hold finite numbers only."""
    for checkpoint in list_checkpoints(run):
        found, skipped = newest_complete(run)
        if found is None or skipped:
            return f"{checkpoint.name}: {skipped}"
        for path in checkpoint.glob("*.safetensors"):
            with safe_open(path, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    value = tensors.get_tensor(name)
                    if value.is_floating_point() and not torch.isfinite(value).all():
                        return f"{checkpoint.name}/{path.name}: {name} is not finite"
    return None


def one_line(printed: str) -> str | None:
    """The error line a user sees; None where there is none, or a traceback."""
    lines = [line for line in printed.splitlines() if line.startswith("error: ")]
    return lines[0] if len(lines) == 1 and "Traceback" not in printed else None


def copy_run(run: Path, target: Path) -> Path:
    return Path(shutil.copytree(run, target))
