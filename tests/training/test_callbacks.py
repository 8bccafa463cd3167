"""What a user sees and finds logged while a run goes on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from balora.training import MetricsFile, ProgressLine
from balora.training.callbacks import progress

TERMS = {"loss": 0.66134, "task_loss": 0.69089, "consistency": 0.0013154, "diversity": 2.1e-06, "spectral": -0.9934}


def show(events: list[tuple[int, dict[str, float]]], *, first: int = 0, terminal: bool, width: int = 80) -> str:
    """What stands on the screen after these log lines, (step, logs), of 2000 steps."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, color_system=None)
    line, state, control = ProgressLine(console), TrainerState(max_steps=2000, global_step=first), TrainerControl()
    arguments: Any = None
    line.on_train_begin(arguments, state, control)
    for step, logs in events:
        state.global_step = step
        line.on_step_end(arguments, state, control)
        line.on_log(arguments, state, control, logs=logs)
    line.on_train_end(arguments, state, control)
    return stream.getvalue()


@pytest.mark.parametrize("width", [50, 80, 120])
def test_bar_steps_and_time_stay_visible_on_a_terminal(width: int) -> None:
    text = show([(631, TERMS)], terminal=True, width=width)
    bar, terms = [line for line in text.replace("\r", "\n").splitlines() if "631/2000" in line or "loss" in line][-2:]
    assert ":" in bar.split("631/2000")[1]
    assert "━" in bar
    assert "loss 0.6613" in terms


def test_scores_appear_on_a_terminal_while_training() -> None:
    text = show([(31, TERMS), (40, {"eval_loss": 0.5, "eval_accuracy": 0.75})], terminal=True)
    assert "step 40/2000  validation: loss 0.5000  accuracy 0.7500" in text


def test_the_time_left_counts_the_steps_of_this_leg(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 10.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    text = show([(1010, {**TERMS, "learning_rate": 1e-3})], first=1000, terminal=False)
    assert "16:30 left" in text, "10 steps in 10 s, 990 to go"


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    kept = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]
    lines = [*kept, {"step": 2, "train_runtime": 3.0}, {"step": 3, "loss": 0.25}]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"step": 4, "lo')
    MetricsFile(path).keep_up_to(2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == kept
    MetricsFile(tmp_path / "none").keep_up_to(2)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("strategy", "logs"), [("steps", True), ("epoch", True), ("no", False)])
def test_the_last_step_is_logged_unless_nothing_is(strategy: str, logs: bool, tmp_path: Path) -> None:
    arguments = TrainingArguments(str(tmp_path), logging_strategy=strategy, use_cpu=True, report_to="none")
    for step, last in ((6, False), (7, True)):
        control = TrainerControl()
        MetricsFile(tmp_path / "m").on_step_end(arguments, TrainerState(max_steps=7, global_step=step), control)
        assert control.should_log is (last and logs)
