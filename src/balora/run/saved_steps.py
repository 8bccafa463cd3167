"""Which checkpoints a run has written, noted in its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.artefacts import RunRecord


class SavedSteps(TrainerCallback):
    """Notes every checkpoint that stands, so that a run whose checkpoints are gone is not taken for one without."""

    def __init__(self, record: RunRecord, folder: Path) -> None:
        self.record, self.folder = record, folder

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write the step into run.json."""
        del args, control, kwargs
        if state.is_world_process_zero:
            self.record.saved(state.global_step, self.folder)
