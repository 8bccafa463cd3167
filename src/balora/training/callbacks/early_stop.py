"""Stop when the score that should improve has not done so for a while."""

from __future__ import annotations

from typing import Any

from transformers import EarlyStoppingCallback, TrainerControl, TrainerState, TrainingArguments


class EarlyStop(EarlyStoppingCallback):
    """transformers' own, which also counts on where a resumed run stopped counting."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take the count from the checkpoint, if there is one."""
        super().on_train_begin(args, state, control, **kwargs)
        kept = state.stateful_callbacks.get(type(self).__name__)
        if isinstance(kept, dict):
            self.early_stopping_patience_counter = kept.get("attributes", {}).get("early_stopping_patience_counter", 0)
