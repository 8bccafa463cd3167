"""Terms on weights in the trainer: part of the loss on every path, logged, off by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.adapters import AdapterConfig, weight_updates
from balora.errors import ModelError
from balora.losses import TERMS, update_norm_squared
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny

CONSTANT = {f"{term}_schedule": "constant" for term in TERMS}


def trainer(folder: Path, form: str = "nlg", method: str = "pissa", **changes: Any) -> BALoraTrainer:
    arguments = {"max_steps": 4, **changes.pop("arguments", {})}
    settings = {"consistency_weight": 0.1, "diversity_weight": 0.0, "spectral_weight": 0.0, **CONSTANT, **changes}
    transformers.set_seed(0)
    family, head = ("llama", "causal_lm") if form == "nlg" else ("bert", "sequence_classification")
    task = "generation" if form == "nlg" else "classification"
    shape = {} if form == "nlg" else {"num_labels": 3}
    return BALoraTrainer(
        model=prepare_model(tiny.build(family, head, **shape), AdapterConfig(method=method, r=4, bottleneck=8)),
        args=rows.arguments(folder, **arguments),
        config=BALoraConfig(form=form, **settings),
        train_dataset=rows.language_rows() if form == "nlg" else rows.classified_rows(),
        data_collator=rows.collator(task),
    )


def distance(run: BALoraTrainer) -> float:
    with torch.no_grad():
        changes = list(weight_updates(run.model))
        norms = [update_norm_squared(u.up, u.down, u.up_start, u.down_start, scaling=u.scaling) for u in changes]
    return float(torch.stack(norms).sum())


@pytest.mark.parametrize("path", ["auto", "explicit"])
def test_the_loss_is_task_plus_weighted_terms_and_both_paths_agree(path: str, tmp_path: Path) -> None:
    run = trainer(tmp_path, weight_penalty=0.3, loss_path=path)
    assert (run.fused is not None) == (path == "auto")
    run.train()
    logs = [log for log in run.state.log_history if "task_loss" in log]
    assert logs[0]["weight_penalty"] == pytest.approx(0, abs=1e-9), "at the start nothing has moved"
    for log in logs:
        assert log["weighted_weight_penalty"] == pytest.approx(0.3 * log["weight_penalty"], rel=1e-5, abs=1e-9)
        total = log["task_loss"] + log["weighted_consistency"] + log["weighted_weight_penalty"]
        assert log["loss"] == pytest.approx(total, rel=1e-4)
    assert logs[-1]["weight_penalty"] > 0


def test_both_paths_train_the_same(tmp_path: Path) -> None:
    numbers = []
    for path in ("auto", "explicit"):
        run = trainer(tmp_path, weight_penalty=1.0, loss_path=path)
        run.train()
        numbers.append({name: p.detach() for name, p in run.model.named_parameters() if p.requires_grad})
    for name, value in numbers[0].items():
        torch.testing.assert_close(value, numbers[1][name], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("method", ["lora", "pissa", "bitfit", "houlsby", "adalora"])
def test_more_weight_keeps_the_weights_closer(method: str, tmp_path: Path) -> None:
    found = []
    for weight in (0.0, 30.0):
        run = trainer(tmp_path, "nlu", method, weight_penalty=weight, arguments={"max_steps": 6, "learning_rate": 2e-2})
        run.train()
        found.append(distance(run))
    assert 0 < found[1] < 0.8 * found[0]


def test_micro_batches_share_the_penalty(tmp_path: Path) -> None:
    numbers = []
    for batch, parts in ((8, 1), (2, 4)):
        shape = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": parts}
        run = trainer(tmp_path, weight_penalty=5.0, arguments=shape)
        run.train()
        numbers.append([log["weight_penalty"] for log in run.state.log_history if "weight_penalty" in log])
    assert numbers[0] == pytest.approx(numbers[1], rel=2e-3, abs=1e-8)


def test_it_is_off_by_default_and_needs_an_adapter(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.train()
    assert not [log for log in run.state.log_history if "weight_penalty" in log]
    with pytest.raises(ModelError, match="measures the adapter, and there is none"):
        trainer(tmp_path, method="full", weight_penalty=0.1)


def test_adalora_s_orthogonality_is_in_the_loss_and_in_the_log(tmp_path: Path) -> None:
    run = trainer(tmp_path, method="adalora")
    run.train()
    first = next(log for log in run.state.log_history if "task_loss" in log)
    assert first["weighted_orthogonality"] == pytest.approx(0.5 * first["orthogonality"], rel=1e-5)
    total = first["task_loss"] + first["weighted_consistency"] + first["weighted_orthogonality"]
    assert first["loss"] == pytest.approx(total, rel=1e-4)
