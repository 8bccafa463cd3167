"""What a training made: its model, and the function that the model computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from balora.run import training
from tests.support import tiny


def models_kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that gets the model of every training from now on."""
    models: list[Any] = []
    original = training.make_trainer

    def remember(*args: Any, **kwargs: Any) -> Any:
        trainer = original(*args, **kwargs)
        models.append(trainer.model)
        return trainer

    monkeypatch.setattr(training, "make_trainer", remember)
    return models


def function_of(model: torch.nn.Module) -> torch.Tensor:
    """Its logits on four rows of random tokens."""
    ids = tiny.random_ids(4, 10, seed=9)
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return logits
