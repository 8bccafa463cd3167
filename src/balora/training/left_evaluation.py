"""An evaluation that a signal ended is the first thing that the resumed run does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import TrainerControl, TrainerState

from balora.artefacts import STATE_OF_TRAINER
from balora.errors import StoppedError
from balora.training.callbacks.stop import GracefulStop, LeftEvaluationError
from balora.training.continued import ContinuedTrainer
from balora.training.process_state import evaluation_left, restore_random_state


class LeavingTrainer(ContinuedTrainer):
    """Leaves the evaluations between its steps when `GracefulStop` is asked to, instead of ending them first.

    The checkpoint is that of the moment before the evaluation, random state included, and says that the evaluation is
    still to be done. A run that goes on from it evaluates, saves and ends the epoch as the step would have.
    """

    control: TrainerControl
    _to_be_logged: tuple[Tensor | float | None, float | None] = None, None
    _left: dict[str, Any] | None = None

    def _maybe_log_save_evaluate(
        self,
        tr_loss: Tensor,
        grad_norm: Tensor | float | None,
        *args: Any,
        learning_rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        self._to_be_logged = grad_norm, learning_rate
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *args, learning_rate=learning_rate, **kwargs)

    def _evaluate(
        self, trial: Any, ignore_keys_for_eval: list[str] | None, skip_scheduler: bool = False
    ) -> dict[str, float]:
        stop = self._stop()
        if stop is None:
            return self._evaluate_whole(trial, ignore_keys_for_eval, skip_scheduler)
        before = self._random_state()
        try:
            with stop.leaving_evaluations(self.args):
                return self._evaluate_whole(trial, ignore_keys_for_eval, skip_scheduler)
        except LeftEvaluationError as left:
            # Before the first step there is nothing to save.
            if not skip_scheduler:
                self._leave(before, ignore_keys_for_eval, trial, epoch_ended=stop.epoch_ended)
            raise StoppedError(left.asked) from None

    def _evaluate_whole(self, trial: Any, ignored: list[str] | None, skip_scheduler: bool) -> dict[str, float]:
        scores: dict[str, float] = super()._evaluate(trial, ignored, skip_scheduler)
        return scores

    def _leave(self, random: dict[str, Any], ignored: list[str] | None, trial: Any, *, epoch_ended: bool) -> None:
        norm, rate = self._to_be_logged
        evaluation = {
            "saves": bool(self.control.should_save),
            "epoch_ended": epoch_ended,
            "gradient_norm": None if norm is None else float(norm),
            "learning_rate": None if rate is None else float(rate),
            "ignored": None if ignored is None else list(ignored),
        }
        self._left = {"random": random, "evaluation": evaluation}
        try:
            self.args.save_only_model = False
            self._save_checkpoint(self.model, trial)
        finally:
            self._left = None
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def process_state(self) -> dict[str, Any]:
        """As it was before the evaluation that is being left."""
        return {**super().process_state(), **(self._left or {})}

    def begin_epoch(self) -> None:
        """What the last step of an earlier leg left to do comes before the next step."""
        self._catch_up()
        super().begin_epoch()

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # The evaluation that was left may have been the last, by its step or by its score.
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> Any:
        self._catch_up()  # where no epoch is left to begin
        return super()._finalize_training(*args, **kwargs)

    def _catch_up(self) -> None:
        resumed = self._resumed
        left = None if resumed is None else resumed.pop("evaluation", None)
        if resumed is None or left is None:
            return
        self._epoch_began, stop = resumed["epoch_began"], self._stop()
        if stop is not None:
            stop.epoch_ended = left["epoch_ended"]
        restore_random_state(resumed["random"], self.args.device)
        self.control.should_evaluate, self.control.should_save = True, left["saves"]
        self._end_of_step(left)
        ends = self.control.should_training_stop or self.state.global_step >= self.state.max_steps
        if not left["epoch_ended"] and (ends or float(self.state.epoch or 0.5).is_integer()):
            self.control = self.callback_handler.on_epoch_end(self.args, self.state, self.control)
            self._end_of_step(left)
        resumed["random"] = self._random_state()

    def _stop(self) -> GracefulStop | None:
        return next((each for each in self.callback_handler.callbacks if isinstance(each, GracefulStop)), None)

    def _end_of_step(self, left: Mapping[str, Any]) -> None:
        epoch, norm, rate = self.state.epoch or 0.0, left["gradient_norm"], left["learning_rate"]
        self._maybe_log_save_evaluate(
            self._tr_loss, norm, self.model, None, epoch, left["ignored"], time.time(), learning_rate=rate
        )


def lines_before_evaluation(checkpoint: Path | None) -> int | None:
    """How many lines the step of a checkpoint had logged when its evaluation was left; None where none was."""
    if checkpoint is None or not evaluation_left(checkpoint):
        return None
    state = TrainerState.load_from_json(str(checkpoint / STATE_OF_TRAINER))
    return len([line for line in state.log_history if line["step"] == state.global_step])
