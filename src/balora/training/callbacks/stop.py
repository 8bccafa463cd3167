"""Stop on Ctrl-C, SIGTERM or SIGHUP without losing a step: finish it, write a checkpoint, end."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.errors import StoppedError
from balora.training.together import largest_of_all, process_count

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_KEYSTROKE_S = 2.0
"""Launchers pass on to their processes what the terminal has sent them already."""
_LAST_LINE_S = 2.0
"""A stream that nobody reads any more must not hold up the end."""


class LeftEvaluationError(Exception):
    """An evaluation ends before it is whole, because a signal asked for that."""

    def __init__(self, asked: signal.Signals) -> None:
        self.asked = asked
        super().__init__(asked.name)


class GracefulStop(TrainerCallback):
    """The first signal ends the run after the step at hand, with a checkpoint; a second one ends it at once.

    A context manager: inside the block signals are caught from the first step on, afterwards as before. Elsewhere
    than in the main thread it does nothing. Several processes agree after every step, and after every batch of an
    evaluation that may be left: what one of them was asked, all of them do.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` is given one line for the user."""
        self.tell = tell
        self.asked: signal.Signals | None = None
        self._asked_at_s = 0.0
        self.epoch_ended = False
        """Whether what is due once per epoch is being done."""
        self._at_a_good_point = self._leaves = False
        self._before: dict[signal.Signals, Any] = {}
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._teller: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self._teller is not None:
            self._lines.put(None)
            self._teller.join(_LAST_LINE_S)
            self._teller = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Catch signals from here on; what comes before leaves nothing to save."""
        del args, state, control, kwargs
        if threading.current_thread() is threading.main_thread() and not self._before:
            # What a shell told the process to ignore, as it does for jobs in the background, stays ignored.
            wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in wanted}
            self._teller = threading.Thread(target=self._tell_lines, name="balora-stop", daemon=True)
            self._teller.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for a checkpoint, unless the step ends an epoch or is evaluated: that comes first."""
        del kwargs
        self.epoch_ended = False
        self._agree(args)
        if self.asked is not None and not control.should_evaluate and not float(state.epoch or 0.5).is_integer():
            self._save_now(args, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for a checkpoint, unless the epoch is evaluated."""
        del state, kwargs
        self.epoch_ended = True
        self._agree(args)
        if self.asked is not None and not control.should_evaluate:
            self._save_now(args, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Where the signal came during an evaluation that was not left, the checkpoint follows."""
        del kwargs
        self._agree(args)
        if self.asked is not None and (self.epoch_ended or not float(state.epoch or 0.5).is_integer()):
            self._save_now(args, control)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave an evaluation that may be left.

        Raises:
            LeftEvaluationError: a signal came.
        """
        del state, control, kwargs
        if self._leaves:
            self._leave_if_asked(args)

    @contextlib.contextmanager
    def leaving_evaluations(self, args: TrainingArguments) -> Iterator[None]:
        """Inside the block evaluations are left when a signal comes, or has come; who opens it saves what is left.

        Raises:
            LeftEvaluationError: a signal came.
        """
        self._leave_if_asked(args)
        self._leaves = True
        try:
            yield
        finally:
            self._leaves = False

    def _leave_if_asked(self, args: TrainingArguments) -> None:
        self._agree(args)
        if self.asked is not None:
            raise LeftEvaluationError(self.asked)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """End the run.

        Raises:
            StoppedError: the checkpoint is written.
        """
        del args, state, control, kwargs
        if self.asked is not None and self._at_a_good_point:
            raise StoppedError(self.asked)

    def _agree(self, args: TrainingArguments) -> None:
        highest = largest_of_all(self.asked or 0, args.device)
        self.asked = signal.Signals(highest) if highest else None

    def _save_now(self, args: TrainingArguments, control: TrainerControl) -> None:
        args.save_only_model = False
        control.should_save = self._at_a_good_point = True

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.asked is not None:
            # torchrun turns a Ctrl-C into a SIGTERM for its processes, on a busy machine seconds later.
            passed_on = number == signal.SIGTERM and self.asked is signal.SIGINT
            if process_count() > 1 and (passed_on or now_s - self._asked_at_s < _ONE_KEYSTROKE_S):
                return
            raise StoppedError(signal.Signals(number))
        self.asked, self._asked_at_s = signal.Signals(number), now_s
        # Not told from here: the signal may have come in the middle of a write to the same stream.
        self._lines.put("stopping after this step, with a checkpoint; once more stops at once")

    def _tell_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody reads the stream any more
                self.tell(line)
