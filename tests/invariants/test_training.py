"""Trajectories that must coincide: the theorems behind the trainer."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from transformers import Trainer, TrainingArguments

from balora.adapters import AdapterConfig
from balora.losses import TERMS
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny
from tests.support.trained import function_of

TOKEN_TERMS = {"consistency_weight": 0.5, "diversity_weight": 0.3, "spectral_weight": 0.0}
EVERY_TERM = {**TOKEN_TERMS, "spectral_weight": 0.2}
CONSTANT = {f"{term}_schedule": "constant" for term in TERMS}
TARGETS = ["q_proj", "v_proj", "down_proj"]


def config(form: str = "nlg", **changes: Any) -> BALoraConfig:
    return BALoraConfig(**{"form": form, **CONSTANT, **changes})


def language_trainer(folder: Path, settings: BALoraConfig, *, seed: int = 0, **changes: Any) -> BALoraTrainer:
    shape = changes.pop("shape", {})
    adapter = AdapterConfig(r=4, alpha=6, target_modules=TARGETS, **changes.pop("adapter", {}))
    side = changes.pop("side", "right")
    args = rows.arguments(folder, seed=seed, **changes)
    transformers.set_seed(seed)
    return BALoraTrainer(
        model=prepare_model(tiny.build("llama", **shape), adapter),
        args=args,
        config=settings,
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation", side=side),
    )


def trained_numbers(run: BALoraTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in run.model.named_parameters() if p.requires_grad}


def test_without_weights_it_is_plain_pissa(tmp_path: Path) -> None:
    """PEFT's own PiSSA under transformers' own Trainer computes the same function after 20 steps."""
    args = {"max_steps": 20, "gradient_accumulation_steps": 2, "lr_scheduler_type": "cosine", "warmup_steps": 3}
    ours = language_trainer(tmp_path, BALoraConfig.off(), **args)
    start = function_of(ours.model)
    ours.train()
    lora = peft.LoraConfig(r=4, lora_alpha=6, init_lora_weights="pissa", target_modules=TARGETS, task_type="CAUSAL_LM")
    transformers.set_seed(0)
    theirs = Trainer(
        model=peft.get_peft_model(tiny.build("llama"), lora),
        args=rows.arguments(tmp_path, seed=0, **args),
        train_dataset=rows.language_rows().remove_columns("row"),
        data_collator=rows.collator("generation"),
    )
    theirs.train()
    assert (function_of(ours.model) - start).abs().max() > 0.1, "training must move the function"
    torch.testing.assert_close(function_of(ours.model), function_of(theirs.model), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokens", ["response", "all"])
@pytest.mark.parametrize("kind", ["language", "classes"])
def test_accumulated_micro_batches_equal_one_large_batch(kind: str, tokens: str, tmp_path: Path) -> None:
    """For the terms that are means over tokens or examples; 24 rows in batches of 12, 4 and 1."""
    results = []
    for batch, parts in ((12, 1), (4, 3), (1, 12)):
        shape = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": parts, "max_steps": 4}
        if kind == "language":
            run = language_trainer(tmp_path, config(**TOKEN_TERMS, regularized_tokens=tokens), **shape)
        else:
            run = class_trainer(tmp_path, config("nlu", **{**TOKEN_TERMS, "diversity_weight": 0.0}), **shape)
        run.train()
        results.append((trained_numbers(run), [log["loss"] for log in run.state.log_history if "loss" in log]))
    for numbers, losses in results[1:]:
        assert losses == pytest.approx(results[0][1], rel=1e-5)
        for name, value in numbers.items():
            torch.testing.assert_close(value, results[0][0][name], rtol=1e-4, atol=2e-5)


def class_trainer(folder: Path, settings: BALoraConfig, **changes: Any) -> BALoraTrainer:
    adapter = changes.pop("method", "pissa")
    dropout = changes.pop("hidden_dropout_prob", 0.0)
    args = rows.arguments(folder, **changes)
    transformers.set_seed(0)
    base = tiny.build(
        "roberta",
        "sequence_classification",
        num_labels=3,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return BALoraTrainer(
        model=prepare_model(base, AdapterConfig(method=adapter, r=4)),
        args=args,
        config=settings,
        train_dataset=rows.classified_rows(),
        data_collator=rows.collator("classification"),
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_trains_the_same(side: str, tmp_path: Path) -> None:
    """Against batches of one row, which have no padding at all."""
    shape = {"max_steps": 4}
    padded = language_trainer(tmp_path, config(**TOKEN_TERMS), side=side, per_device_train_batch_size=6, **shape)
    alone = language_trainer(
        tmp_path, config(**TOKEN_TERMS), per_device_train_batch_size=1, gradient_accumulation_steps=6, **shape
    )
    padded.train()
    alone.train()
    torch.testing.assert_close(function_of(padded.model), function_of(alone.model), rtol=0, atol=1e-4)


def test_gradient_checkpointing_changes_nothing(tmp_path: Path) -> None:
    plain = language_trainer(tmp_path, config(**EVERY_TERM))
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    today = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    saving = language_trainer(tmp_path, config(**EVERY_TERM), **{today: True})
    plain.train()
    saving.train()
    assert (function_of(plain.model) - function_of(tiny.build("llama"))).abs().max() > 0.05
    torch.testing.assert_close(function_of(saving.model), function_of(plain.model), rtol=0, atol=1e-6)


def test_bfloat16_autocast_follows_float32(tmp_path: Path) -> None:
    exact = language_trainer(tmp_path, config(**EVERY_TERM))
    low = language_trainer(tmp_path, config(**EVERY_TERM), bf16=True)
    exact.train()
    low.train()
    for one, other in zip(exact.state.log_history[:-1], low.state.log_history[:-1], strict=True):
        for name in ("task_loss", "diversity", "spectral"):
            assert other[name] == pytest.approx(one[name], rel=0.03)


@pytest.mark.parametrize("kind", ["pissa", "full", "linear_probe"])
def test_a_cached_teacher_trains_as_a_live_one(kind: str, tmp_path: Path) -> None:
    method = "full" if kind == "full" else "pissa"
    head = "linear_probe" if kind == "linear_probe" else "initial"
    results = []
    for teacher in ("live", "cached"):
        settings = config("nlu", **EVERY_TERM, teacher=teacher, teacher_head=head)
        run = class_trainer(tmp_path, settings, method=method, hidden_dropout_prob=0.1, max_steps=12)
        run.train()
        results.append(function_of(run.model))
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", ["live", "cached", "linear_probe", "full", "randomized"])
def test_resumed_equals_uninterrupted_bit_for_bit(case: str, tmp_path: Path) -> None:
    """With dropout on, from the middle of an epoch, in a fresh process' worth of objects."""
    settings = config(
        "nlu",
        **EVERY_TERM,
        teacher="cached" if case == "cached" else "live",
        teacher_head="linear_probe" if case == "linear_probe" else "initial",
        consistency_schedule="cosine",
    )
    changes = {
        "method": "full" if case == "full" else "pissa",
        "hidden_dropout_prob": 0.2,
        "max_steps": 10,
        "save_strategy": "steps",
        "save_steps": 4,
    }
    whole = class_trainer(tmp_path / "whole", settings, **changes)
    whole.train()
    stopped = class_trainer(tmp_path / "stopped", settings, **changes)
    stopped.train()
    again = class_trainer(tmp_path / "again", settings, **changes)
    again.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-4"))
    expected, found = trained_numbers(whole), trained_numbers(again)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    timing = ("seconds", "runtime", "per_second")
    for one, other in zip(whole.state.log_history[4:10], again.state.log_history[4:10], strict=True):
        kept = {key: value for key, value in one.items() if not key.endswith(timing)}
        assert kept == {key: value for key, value in other.items() if not key.endswith(timing)}


def test_a_resumed_language_model_keeps_its_anchor(tmp_path: Path) -> None:
    """Another start seed at resume would give another anchor; the checkpoint holds the right one."""
    changes = {"max_steps": 8, "save_strategy": "steps", "save_steps": 4}
    randomized = {"svd": "randomized", "svd_iterations": 0}
    whole = language_trainer(tmp_path / "a", config(**EVERY_TERM), adapter=randomized, **changes)
    whole.train()
    again = language_trainer(tmp_path / "b", config(**EVERY_TERM), adapter={**randomized, "seed": 5}, **changes)
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-4"))
    assert torch.equal(function_of(again.model), function_of(whole.model))


def test_checkpoints_are_plain_lora_for_everyone_else(tmp_path: Path) -> None:
    run = language_trainer(tmp_path, config(**EVERY_TERM), max_steps=4, save_strategy="steps", save_steps=2)
    run.train()
    loaded = peft.PeftModel.from_pretrained(tiny.build("llama"), tmp_path / "checkpoint-4")
    torch.testing.assert_close(function_of(loaded), function_of(run.model), rtol=0, atol=1e-5)


def test_the_best_checkpoint_comes_back_at_the_end(tmp_path: Path) -> None:
    """Best by the largest loss here, so that it is not the last one."""
    every_two_steps = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    choice = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": True}
    run = BALoraTrainer(
        model=prepare_model(tiny.build("llama"), AdapterConfig(r=4)),
        args=rows.arguments(tmp_path, max_steps=6, **every_two_steps, **choice),
        config=BALoraConfig.off(),
        train_dataset=rows.language_rows(),
        eval_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )
    run.train()
    losses = [log["eval_loss"] for log in run.state.log_history if "eval_loss" in log]
    assert max(losses) > losses[-1] + 1e-4
    assert run.evaluate()["eval_loss"] == pytest.approx(max(losses), abs=1e-6)


def test_regularizers_pull_the_function_towards_the_teacher(tmp_path: Path) -> None:
    """More consistency weight, less distance from the pretrained model."""
    base = function_of(tiny.build("llama"))
    distances = []
    for weight in (0.0, 1.0, 30.0):
        run = language_trainer(tmp_path, config(consistency_weight=weight, diversity_weight=0, spectral_weight=0))
        run.train()
        distances.append((function_of(run.model) - base).norm().item())
    assert distances == sorted(distances, reverse=True)
    assert math.isfinite(distances[-1])
