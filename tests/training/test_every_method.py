"""Every method with the regularizers: the teacher is the pretrained model at the start and at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.adapters import METHODS, AdapterConfig
from balora.losses import TERMS
from balora.teacher import LiveTeacher
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.adapters.families import LATER_METHODS, calibration_for, inputs_for, logits
from tests.support import rows, tiny

CONSTANT = {f"{term}_schedule": "constant" for term in TERMS}
WEIGHTS = {"consistency_weight": 0.5, "diversity_weight": 0.1, "spectral_weight": 0.1, "spectral_k": 1}
NAMES = [name for name in METHODS if name != "full"]


def trainer(folder: Path, method: str, family: str) -> BALoraTrainer:
    config = AdapterConfig(method=method, r=4, **LATER_METHODS.get(method, {}))
    base = tiny.FAMILIES[family]()
    transformers.set_seed(0)
    task = "generation" if family in ("llama", "gpt2") else "classification"
    data: Any = rows.language_rows() if task == "generation" else rows.classified_rows(classes=2)
    form = "nlg" if task == "generation" else "nlu"
    return BALoraTrainer(
        model=prepare_model(base, config, calibration=calibration_for(family)),
        args=rows.arguments(folder, max_steps=4, learning_rate=2e-2),
        config=BALoraConfig(form=form, **CONSTANT, **WEIGHTS),
        train_dataset=data,
        data_collator=rows.collator(task),
    )


@pytest.mark.parametrize("family", ["gpt2", "bert"])
@pytest.mark.parametrize("method", NAMES)
def test_the_teacher_is_the_pretrained_model_before_and_after(method: str, family: str, tmp_path: Path) -> None:
    truth = logits(tiny.FAMILIES[family](), inputs_for(family))
    run = trainer(tmp_path, method, family)
    run.train()
    logs = [log for log in run.state.log_history if "consistency" in log]
    assert logs[0]["consistency"] == pytest.approx(0, abs=1e-6), "student and teacher agree before the first step"
    assert logs[-1]["consistency"] > 1e-7, "and differ once something is trained"
    assert torch.equal(LiveTeacher().logits(run.model, inputs_for(family)), truth)
    assert (logits(run.model, inputs_for(family)) - truth).abs().max() > 1e-4
