"""`metrics.jsonl`: every log line of a run, one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class MetricsFile(TrainerCallback):
    """Appends to a file as the run goes; readable while it runs and after a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """Numbers as they are; what is not finite as text, because strict JSON has no NaN."""
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value
