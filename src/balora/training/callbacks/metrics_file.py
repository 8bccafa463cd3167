"""`metrics.jsonl`: every log line of a run, one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.artefacts.files import append_text, write_text_atomically
from balora.strict_json import parse_json


class MetricsFile(TrainerCallback):
    """Appends to a file as the run goes; readable while it runs and after a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep_up_to(self, step: int, lines_of_last: int | None = None) -> None:
        """Drop what a run logged after the checkpoint that it goes on from, and the summaries of earlier legs.

        Args:
            step: of the checkpoint.
            lines_of_last: how many lines of that very step it knows of; None for all that are there.
        """
        if not self.path.exists():
            return
        kept: list[str] = []
        of_last = 0
        for line in self.path.read_bytes().splitlines():
            try:
                logged = parse_json(line)
                wanted = logged["step"] <= step and "train_runtime" not in logged
                of_last += wanted and logged["step"] == step
                wanted = wanted and (logged["step"] < step or lines_of_last is None or of_last <= lines_of_last)
            except (ValueError, KeyError, TypeError):  # a line that was cut off when the process was killed
                wanted = False
            kept += [line.decode("utf-8") + "\n"] if wanted else []
        write_text_atomically(self.path, "".join(kept))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log the last step also where the interval does not end there, so that the shortest run has a line."""
        del kwargs
        if state.global_step >= state.max_steps and args.logging_strategy != "no":
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write one line."""
        del args, control, kwargs
        if not state.is_world_process_zero or not logs:
            return
        line = {"step": state.global_step, **{key: _plain(value) for key, value in logs.items()}}
        append_text(self.path, json.dumps(line, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """Numbers as they are; what is not finite as text, because strict JSON has no NaN."""
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value
