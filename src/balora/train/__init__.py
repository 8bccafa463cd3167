"""Training: one Trainer subclass that only calls the objective, and what happens around its steps."""

from balora.train.callbacks import MetricsFile, ProgressLine
from balora.train.config import BALoraConfig
from balora.train.notes import BaloraWarning, notes_on_objective
from balora.train.prepare import prepare_model
from balora.train.trainer import BALoraTrainer

__all__ = [
    "BALoraConfig",
    "BALoraTrainer",
    "BaloraWarning",
    "MetricsFile",
    "ProgressLine",
    "notes_on_objective",
    "prepare_model",
]
