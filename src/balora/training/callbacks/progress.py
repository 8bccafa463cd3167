"""The progress line: step, time left, and the loss with its terms."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

SHOWN = {
    "loss": "loss",
    "task_loss": "task",
    "consistency": "cons",
    "diversity": "div",
    "spectral": "spec",
}
"""Log key -> what the line calls it."""


class ProgressLine(TrainerCallback):
    """A live bar on a terminal; elsewhere one plain line per log."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        del args, control, kwargs
        self._began = time.monotonic()
        if not state.is_world_process_zero or not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=self.console,
        )
        self._bar.start()
        self._task = self._bar.add_task("training", total=state.max_steps, completed=state.global_step, terms="")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        del args, control, kwargs
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the terms."""
        del args, control, kwargs
        if not state.is_world_process_zero or not logs:
            return
        if self._bar is not None and self._task is not None and "loss" in logs:
            self._bar.update(self._task, terms=describe_terms(logs))
        elif self._bar is None and ("loss" in logs or any(key.startswith("eval_") for key in logs)):
            self.console.print(self._plain_line(state, logs), highlight=False, markup=False, soft_wrap=True)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the finished bar on the screen."""
        del args, state, control, kwargs
        self.close()

    def close(self) -> None:
        """Stop drawing; safe to call twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _plain_line(self, state: TrainerState, logs: dict[str, float]) -> str:
        elapsed = time.monotonic() - self._began
        left = elapsed / max(state.global_step, 1) * (state.max_steps - state.global_step)
        head = f"step {state.global_step}/{state.max_steps}"
        if "loss" in logs:
            return f"{head}  {describe_terms(logs)}  lr {logs.get('learning_rate', 0):.2e}  {_clock(left)} left"
        scores = [f"{key.removeprefix('eval_')} {value:.4f}" for key, value in logs.items() if _is_score(key, value)]
        return f"{head}  validation: {'  '.join(scores)}"


def describe_terms(logs: dict[str, float]) -> str:
    """Loss and terms in one short phrase; terms that did not run are left out."""
    return "  ".join(f"{name} {logs[key]:.4g}" for key, name in SHOWN.items() if key in logs)


def _is_score(key: str, value: object) -> bool:
    timing = ("runtime", "per_second", "model_preparation_time")
    return key.startswith("eval_") and isinstance(value, float) and not key.endswith(timing)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
