"""Training: one Trainer subclass that only calls the objective, and what happens around its steps."""

from balora.training.callbacks import GracefulStop, MetricsFile, ProgressLine
from balora.training.config import BALoraConfig
from balora.training.notes import BaloraWarning, notes_on_objective
from balora.training.prepare import prepare_model
from balora.training.trainer import BALoraTrainer

__all__ = [
    "BALoraConfig",
    "BALoraTrainer",
    "BaloraWarning",
    "GracefulStop",
    "MetricsFile",
    "ProgressLine",
    "notes_on_objective",
    "prepare_model",
]
