"""Stop on Ctrl-C or SIGTERM without losing a step: finish it, write a checkpoint, end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.errors import StoppedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulStop(TrainerCallback):
    """The first signal ends the run after the step at hand, with a checkpoint; a second one ends it at once.

    A context manager: inside the block signals are caught from the first step on, afterwards as before. Elsewhere
    than in the main thread, and with several processes, which would have to agree on the step, it does nothing.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` is given one line for the user."""
        self.tell = tell
        self.asked: signal.Signals | None = None
        self._at_a_good_point = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Catch signals from here on; what comes before leaves nothing to save."""
        del state, control, kwargs
        if args.world_size == 1 and threading.current_thread() is threading.main_thread() and not self._before:
            # What a shell told the process to ignore, as it does for jobs in the background, stays ignored.
            wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in wanted}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for a checkpoint, unless the epoch ends here: then its evaluation belongs into it as well."""
        del kwargs
        if self.asked is not None and not float(state.epoch or 0.5).is_integer():
            self._save_now(args, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for a checkpoint after the epoch's evaluation."""
        del state, kwargs
        if self.asked is not None:
            self._save_now(args, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Where the signal came during an evaluation, the checkpoint follows at once."""
        del state, kwargs
        if self.asked is not None:
            self._save_now(args, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """End the run.

        Raises:
            StoppedError: the checkpoint is written.
        """
        del args, state, control, kwargs
        if self.asked is not None and self._at_a_good_point:
            raise StoppedError(self.asked)

    def _save_now(self, args: TrainingArguments, control: TrainerControl) -> None:
        args.save_only_model = False
        control.should_log = control.should_save = self._at_a_good_point = True

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.asked is not None:
            raise StoppedError(signal.Signals(number))
        self.asked = signal.Signals(number)
        self.tell("stopping after this step, with a checkpoint; once more stops at once")
