"""Where in its loop a trainer is: told at the two moments that resuming needs."""

from __future__ import annotations

from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class InALoop(Protocol):
    """A trainer that wants to know."""

    def begin_training(self) -> None:
        """The Trainer has just set its sums to 0."""

    def begin_epoch(self) -> None:
        """The order of the epoch is about to be drawn."""


class Place(TrainerCallback):
    """Tells a trainer where in its loop it is."""

    def __init__(self, trainer: InALoop) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The Trainer has just set its sums to 0."""
        del args, state, control, kwargs
        self.trainer.begin_training()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The order of the epoch is about to be drawn."""
        del args, state, control, kwargs
        self.trainer.begin_epoch()
