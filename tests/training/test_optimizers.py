"""Optimizers that belong to a method: chosen by its name, right per group, blind to anchors, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.adapters import AdapterConfig, attach_adapter
from balora.errors import ModelError
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.optimizers import adapter_optimizer, lora_fa_optimizer, loraplus_optimizer
from tests.support import rows, tiny


def trainer(folder: Path, method: str, **changes: Any) -> BALoraTrainer:
    settings = changes.pop("settings", {})
    transformers.set_seed(0)
    return BALoraTrainer(
        model=prepare_model(tiny.build("llama"), AdapterConfig(method=method, r=4, **settings)),
        args=rows.arguments(folder, **changes),
        config=BALoraConfig.off(),
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )


def test_loraplus_gives_b_the_higher_rate(tmp_path: Path) -> None:
    run = trainer(tmp_path, "loraplus", learning_rate=1e-3, weight_decay=0.1, settings={"loraplus_ratio": 8})
    optimizer = run.create_optimizer()
    names = {id(p): name for name, p in run.model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rate for name, rate in rates.items() if "lora_A" in name} == {1e-3}
    assert {rate for name, rate in rates.items() if "lora_B" in name} == {8e-3}
    assert set(rates) == {name for name, p in run.model.named_parameters() if p.requires_grad}
    assert {group["weight_decay"] for group in optimizer.param_groups if group["params"]} == {0.1}


def test_lora_fa_leaves_a_where_it_started(tmp_path: Path) -> None:
    run = trainer(tmp_path, "lora_fa")
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    assert not [name for name, p in run.model.named_parameters() if p.requires_grad and "lora_A" in name]
    run.train()
    assert type(run.optimizer).__name__ == "AcceleratedOptimizer"
    assert type(run.optimizer.optimizer).__name__ == "LoraFAOptimizer"
    moved = {name for name, p in run.model.named_parameters() if not torch.equal(before[name], p)}
    assert moved == {name for name in before if "lora_B" in name}


@pytest.mark.parametrize("kind", ["loraplus", "lora_fa"])
@pytest.mark.parametrize("method", ["pissa", "milora", "olora"])
def test_neither_optimizer_touches_an_anchor(method: str, kind: str) -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(method=method, r=4))
    anchors = {name: buffer.clone() for name, buffer in model.named_buffers() if ".anchor." in name}
    args = rows.arguments(Path("unused"), weight_decay=0.5, learning_rate=0.1)
    if kind == "loraplus":
        optimizer = loraplus_optimizer(model, args, ratio=16)
    else:
        optimizer = lora_fa_optimizer(model, args, AdapterConfig(method=method, r=4), sharded=False)
    known = {p.data_ptr() for group in optimizer.param_groups for p in group["params"]}
    model(input_ids=tiny.random_ids(2, 6)).logits.square().sum().backward()
    optimizer.step()
    now = {name: buffer for name, buffer in model.named_buffers() if ".anchor." in name}
    assert len(now) == len(anchors) == 28
    assert all(torch.equal(now[name], value) for name, value in anchors.items())
    assert not known & {buffer.data_ptr() for buffer in now.values()}


def test_other_methods_keep_the_trainer_s_optimizer() -> None:
    args = rows.arguments(Path("unused"))
    for method in ("lora", "pissa", "full", "bitfit"):
        family = "bert" if method == "bitfit" else "llama"
        model = attach_adapter(tiny.FAMILIES[family](), AdapterConfig(method=method, r=2))
        assert adapter_optimizer(model, args, sharded=False) is None
    assert adapter_optimizer(tiny.build("llama"), args, sharded=False) is None


def test_what_cannot_work_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lora_fa = attach_adapter(tiny.build("llama"), AdapterConfig(method="lora_fa", r=2))
    with pytest.raises(ModelError, match="spread over devices"):
        adapter_optimizer(lora_fa, rows.arguments(Path("unused")), sharded=True)
    plus = attach_adapter(tiny.build("llama"), AdapterConfig(method="loraplus", r=2))
    own_groups = (torch.optim.AdamW, {"lr": 1e-3, "optimizer_dict": {}})
    monkeypatch.setattr(transformers.Trainer, "get_optimizer_cls_and_kwargs", staticmethod(lambda *_: own_groups))
    with pytest.raises(ModelError, match="has its own"):
        adapter_optimizer(plus, rows.arguments(Path("unused")), sharded=False)


@pytest.mark.parametrize("method", ["loraplus", "lora_fa", "adalora", "milora", "eva", "houlsby"])
def test_resumed_equals_uninterrupted(method: str, tmp_path: Path) -> None:
    changes = {"max_steps": 8, "save_strategy": "steps", "save_steps": 4, "lr_scheduler_type": "cosine"}
    settings = {"bottleneck": 8} if method == "houlsby" else {}
    results = []
    for folder, checkpoint in (("whole", None), ("again", tmp_path / "whole" / "checkpoint-4")):
        if method == "eva":
            run = eva_trainer(tmp_path / folder, **changes)
        else:
            run = trainer(tmp_path / folder, method, settings=settings, **changes)
        run.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        results.append({name: p.detach() for name, p in run.model.named_parameters()})
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def eva_trainer(folder: Path, **changes: Any) -> BALoraTrainer:
    from tests.adapters.families import calibration_for

    transformers.set_seed(0)
    config = AdapterConfig(method="eva", r=4, eva_tau=0.5)
    return BALoraTrainer(
        model=prepare_model(tiny.build("llama"), config, calibration=calibration_for("llama")),
        args=rows.arguments(folder, **changes),
        config=BALoraConfig.off(),
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )
