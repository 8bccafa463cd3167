"""The load-balancing loss of mixtures: what the plain Trainer would add, no more and no less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from balora.adapters import AdapterConfig
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.router_loss import router_loss
from tests.support import rows, tiny

ROUTED = {"output_router_logits": True, "router_aux_loss_coef": 0.5}


def trainer(folder: Path, family: str, config: BALoraConfig, changes: dict[str, Any], **arguments: Any) -> Any:
    return BALoraTrainer(
        model=prepare_model(tiny.build(family, **changes), AdapterConfig(r=2)),
        args=rows.arguments(folder, **{"max_steps": 1, **arguments}),
        config=config,
        train_dataset=rows.language_rows(4),
        eval_dataset=rows.language_rows(4),
        data_collator=rows.collator("generation"),
    )


def first_log(run: BALoraTrainer) -> dict[str, float]:
    run.train()
    return next(log for log in run.state.log_history if "loss" in log)


@pytest.mark.parametrize("path", ["auto", "explicit"])
@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe"])
def test_without_terms_the_loss_is_the_model_s_own(family: str, path: str, tmp_path: Path) -> None:
    config = BALoraConfig.off().model_copy(update={"loss_path": path})
    run = trainer(tmp_path, family, config, ROUTED)
    batch = rows.collator("generation")(list(rows.language_rows(4).remove_columns("row")))
    with torch.no_grad():
        own = tiny.build(family, **ROUTED)(**batch)
    log = first_log(run)
    assert log["loss"] == pytest.approx(float(own.loss), rel=1e-4)
    assert log["router_loss"] == pytest.approx(float(own.aux_loss), rel=1e-4)
    assert log["weighted_router_loss"] == pytest.approx(0.5 * float(own.aux_loss), rel=1e-4)
    assert log["task_loss"] == pytest.approx(float(own.loss - 0.5 * own.aux_loss), rel=1e-4)


def test_it_moves_the_adapter_and_is_a_mean_over_micro_batches(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_steps": 2}
    with_loss, without = (
        trainer(
            tmp_path / str(coefficient),
            "mixtral",
            BALoraConfig.nlg(),
            {**ROUTED, "router_aux_loss_coef": coefficient},
            **settings,
        )
        for coefficient in (5.0, 0.0)
    )
    log = first_log(with_loss)
    assert 1.5 < log["router_loss"] < 4
    assert log["loss"] == pytest.approx(log["task_loss"] + 5 * log["router_loss"], rel=1e-3)
    assert "router_loss" not in first_log(without)
    found = [
        {n: p for n, p in run.model.named_parameters() if "gate_up_proj" in n or "lora_A" in n}
        for run in (with_loss, without)
    ]
    assert any(not torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_evaluation_reports_the_task_loss_alone(tmp_path: Path) -> None:
    routed, plain = (
        trainer(tmp_path, "mixtral", BALoraConfig.nlg(), changes).evaluate()["eval_loss"] for changes in (ROUTED, {})
    )
    assert routed == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("family", ["llama", "deepseek_v3"])
def test_models_that_compute_none_get_none(family: str) -> None:
    model = tiny.build(family, **({"output_router_logits": True} if family == "deepseek_v3" else {}))
    assert router_loss(model, model(tiny.random_ids(1, 4))) is None
