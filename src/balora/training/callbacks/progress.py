"""The progress line: step, time left, and the loss with its terms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.evaluation import is_score
from balora.streams import stderr_console

SHOWN = {
    "loss": "loss",
    "task_loss": "task",
    "consistency": "cons",
    "diversity": "div",
    "spectral": "spec",
}
"""Log key -> what the line calls it."""


class ProgressLine(TrainerCallback):
    """On a terminal a live bar, the terms below it and a line per evaluation; elsewhere one plain line per log."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or stderr_console()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began, self._first_step = 0.0, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Show the bar."""
        del args, control, kwargs
        self._began, self._first_step = time.monotonic(), state.global_step
        if not state.is_world_process_zero or not self.console.is_terminal:
            return
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = _BarAboveTerms(*columns, console=self.console)
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
        elif "loss" in logs or any(key.startswith("eval_") for key in logs):
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
        # A resumed run has not spent its time on the steps before the checkpoint.
        left = elapsed / max(state.global_step - self._first_step, 1) * (state.max_steps - state.global_step)
        head = f"step {state.global_step}/{state.max_steps}"
        if "loss" in logs:
            return f"{head}  {describe_terms(logs)}  lr {logs.get('learning_rate', 0):.2e}  {_clock(left)} left"
        scores = [
            f"{key.removeprefix('eval_')} {value:.4f}"
            for key, value in logs.items()
            if is_score(key) and isinstance(value, float)
        ]
        return f"{head}  validation: {'  '.join(scores)}"


class _BarAboveTerms(Progress):
    """The terms have a line of their own, so that a narrow terminal never squeezes out the bar, steps or time."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["terms"]:
                yield Text(task.fields["terms"], no_wrap=True, overflow="ellipsis")


def describe_terms(logs: dict[str, float]) -> str:
    """Loss and terms in one short phrase; terms that did not run are left out."""
    return "  ".join(f"{name} {logs[key]:.4g}" for key, name in SHOWN.items() if key in logs)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
