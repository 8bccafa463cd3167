"""Every method that PEFT has computes PEFT's function after 20 steps in float32, though the base is never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from peft.optimizers import create_lorafa_optimizer, create_loraplus_optimizer
from peft.tuners.lora.config import CordaConfig, EvaConfig, LoraGAConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.loraga import preprocess_loraga
from transformers import Trainer, TrainerCallback

from balora.adapters import AdapterConfig, Calibration
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny
from tests.support.trained import function_of

STEPS = 20
TARGETS = ["q_proj", "v_proj", "down_proj"]
RANK = 8

METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {},
    "dora": {},
    "adalora": {},
    "olora": {},
    "corda": {},
    "corda-kpm": {"corda_mode": "kpm", "calibration": {"text": "given"}},
    "lora_ga": {},
    "eva": {"eva_rho": 1.5, "eva_tau": 0.8},
    "loraplus": {"loraplus_ratio": 4.0},
    "lora_fa": {},
}


def sample() -> Calibration:
    return Calibration(rows.language_rows(24, seed=5).to_list(), rows.collator("generation"))


def arguments(folder: Path, method: str) -> Any:
    rate = {"olora": 1e-3, "lora_fa": 1e-3, "adalora": 5e-2}.get(method, 5e-3)
    return rows.arguments(folder, seed=0, max_steps=STEPS, lr_scheduler_type="cosine", learning_rate=rate)


def ours(folder: Path, method: str) -> torch.Tensor:
    config = AdapterConfig(
        method=method.removesuffix("-kpm"), r=RANK, alpha=12, target_modules=TARGETS, **METHODS[method]
    )
    transformers.set_seed(0)
    run = BALoraTrainer(
        model=prepare_model(tiny.build("llama"), config, calibration=sample()),
        args=arguments(folder, method),
        config=BALoraConfig.off(),
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )
    run.train()
    return function_of(run.model)


class AllocateRanks(TrainerCallback):
    """PEFT's documented loop."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.model.base_model.update_and_allocate(state.global_step + 1)


def peft_model(method: str) -> Any:
    """The method as PEFT's own documentation sets it up."""
    base = tiny.build("llama")
    common = {"r": RANK, "lora_alpha": 12, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
    if method == "adalora":
        common = {**common, "init_r": 12, "target_r": RANK, "total_step": STEPS, "tinit": 2, "tfinal": 6}
        del common["r"]
        return seeded(base, peft.AdaLoraConfig(**common))
    if method.startswith("corda"):
        mode = "kpm" if method.endswith("kpm") else "ipm"
        config = peft.LoraConfig(**common, init_lora_weights="corda", corda_config=CordaConfig(corda_method=mode))
        preprocess_corda(base, config, run_model=lambda: [base(**batch) for batch in sample().batches(base)])
        return seeded(base, config)
    if method == "lora_ga":
        config = peft.LoraConfig(**common, init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig())
        preprocess_loraga(
            base, config, lambda: [b.loss.backward() for b in (base(**x) for x in sample().batches(base, 8))]
        )
        return seeded(base, config)
    if method == "eva":
        config = peft.LoraConfig(**common, init_lora_weights="eva", eva_config=EvaConfig(rho=1.5, tau=0.8))
        adapted = seeded(base, config)
        batches = list(sample().batches(base, 8))
        peft.initialize_lora_eva_weights(
            adapted,
            batches,
            forward_fn=lambda model, batch: model(**{k: v for k, v in batch.items() if k != "labels"}),
            show_progress_bar=False,
        )
        return adapted
    start = {"olora": {"init_lora_weights": "olora"}, "dora": {"use_dora": True}, "rslora": {"use_rslora": True}}
    return seeded(base, peft.LoraConfig(**common, **start.get(method, {})))


def seeded(base: Any, config: Any) -> Any:
    torch.manual_seed(0)
    return peft.get_peft_model(base, config)


def theirs(folder: Path, method: str) -> torch.Tensor:
    model, args = peft_model(method), arguments(folder, method)
    optimizer = None
    if method == "loraplus":
        kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
        optimizer = create_loraplus_optimizer(model, kind, loraplus_lr_ratio=4.0, **options)
    if method == "lora_fa":
        optimizer = create_lorafa_optimizer(model, r=RANK, lora_alpha=12, lr=args.learning_rate)
    transformers.set_seed(0)
    run = Trainer(
        model=model,
        args=args,
        train_dataset=rows.language_rows().remove_columns("row"),
        data_collator=rows.collator("generation"),
        optimizers=(optimizer, None),
        callbacks=[AllocateRanks(model)] if method == "adalora" else [],
    )
    run.train()
    return function_of(model)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
@pytest.mark.filterwarnings("ignore:lora with eva initialization:UserWarning")
@pytest.mark.parametrize("method", METHODS)
def test_the_same_function_as_peft_after_20_steps(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decompose = torch.svd_lowrank

    def with_one_seed(*args: Any, **options: Any) -> Any:
        """lora_ga pairs singular vectors of different directions, whose signs follow from the random projection."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return decompose(*args, **options)

    monkeypatch.setattr(torch, "svd_lowrank", with_one_seed)
    one, other = ours(tmp_path, method), theirs(tmp_path, method)
    moved = (one - function_of(tiny.build("llama"))).abs().max()
    assert moved > 0.05, "training must move the function"
    torch.testing.assert_close(one, other, rtol=0, atol=max(1e-4, 1e-3 * float(moved)))
