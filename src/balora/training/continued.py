"""A Trainer that goes on where a checkpoint stands, in another folder or with other settings where it is told so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from balora.artefacts.layout import CHECKPOINT_PREFIX
from balora.training.checkpointing import CheckpointedTrainer

_ANOTHER_BEST = (
    CHECKPOINT_PREFIX,
    "evaluation.",
    "data.validation",
    "training.metric_for_best_model",
    "training.greater_is_better",
)
"""What makes the best score so far one of other examples, or of weights that are gone."""


class ContinuedTrainer(CheckpointedTrainer):
    """What a checkpoint says of its folder and of its settings gives way to the folder and the settings at hand."""

    changed_settings: frozenset[str] = frozenset()
    """Keys of the recipe with which the run goes on although they are not what it began with."""

    def planned_steps(self) -> int:
        """How many steps the settings at hand make."""
        return int(self.set_initial_training_values(self.args, self.get_train_dataloader())[-1])

    def take_best_from(self, run: Path) -> None:
        """Look for the best checkpoint in the folder at hand; forget one that is given up."""
        if any(key.startswith(_ANOTHER_BEST) for key in self.changed_settings):
            self.state.best_metric = self.state.best_global_step = self.state.best_model_checkpoint = None
        if not self.state.best_model_checkpoint:
            return
        best = run / Path(self.state.best_model_checkpoint).name
        self.state.best_model_checkpoint = str(best) if best.is_dir() else None
        if not best.is_dir() and self.args.load_best_model_at_end:
            logging.getLogger("balora").warning("'%s' held the best weights so far and is gone", best)

    def _init_training_state(self, max_steps: int, *args: Any, **kwargs: Any) -> tuple[int, int]:
        with _unsaid("The best checkpoint "):
            begun: tuple[int, int] = super()._init_training_state(max_steps, *args, **kwargs)
        self.take_best_from(Path(self.args.output_dir))
        if self.changed_settings:
            self.state.compute_steps(self.args, max_steps)
        return begun

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        load = super()._load_optimizer_and_scheduler
        if checkpoint is None or not self.changed_settings:
            load(checkpoint)
        else:
            load_state_alone(self.optimizer, self.lr_scheduler, lambda: load(checkpoint))


def load_state_alone(optimizer: Optimizer, scheduler: Any, load: Callable[[], None]) -> None:
    """Load moments and step count, and keep learning rate, decay and all that the settings at hand say.

    torch puts both into one state, so that a changed learning rate would be silently without effect.
    """
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    base_rates = list(getattr(scheduler, "base_lrs", []))
    load()
    if not isinstance(scheduler, LambdaLR):  # its rate follows from the scores so far, and stays
        return
    scheduler.base_lrs = base_rates
    factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
    for group, own, rate, factor in zip(optimizer.param_groups, settings, base_rates, factors, strict=True):
        group.update(own, lr=rate * factor)
    scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]


@contextmanager
def _unsaid(beginning: str) -> Iterator[None]:
    """Keep back a warning of transformers that is not true here."""

    def lets_through(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(beginning)

    logger = logging.getLogger("transformers.trainer")
    logger.addFilter(lets_through)
    try:
        yield
    finally:
        logger.removeFilter(lets_through)
