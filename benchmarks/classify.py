"""Whole classification runs of E epochs: what the teacher costs where its outputs are computed once per example."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import datasets
import torch
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments

from balora.adapters import AdapterConfig
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from benchmarks.measure import Result, markdown

EXAMPLES = {"cpu": 64, "cuda": 2048}
LENGTH, CLASSES, BATCH = 32, 3, 8
EPOCHS = (1, 3)
OWN, CACHED, LIVE = "own PiSSA (weights 0)", "balora, cached teacher", "balora, live teacher"
VARIANTS: dict[str, dict[str, Any]] = {
    OWN: {"consistency_weight": 0.0, "diversity_weight": 0.0, "spectral_weight": 0.0},
    CACHED: {"teacher": "cached"},
    LIVE: {"teacher": "live"},
}
GATE = 1e-3


def goal(epochs: int) -> float:
    """Largest allowed time over our own PiSSA: one forward of the teacher per example, whatever the epochs."""
    return 1 + 0.55 / epochs


def encoder() -> BertForSequenceClassification:
    """22 M parameters: six layers of width 384, random weights."""
    torch.manual_seed(0)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    return BertForSequenceClassification(BertConfig(num_labels=CLASSES, **shape))


def examples(count: int) -> datasets.Dataset:
    """Random tokens and classes."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 30_000, (count, LENGTH), generator=generator).tolist()
    labels = torch.randint(CLASSES, (count,), generator=generator).tolist()
    return datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * LENGTH] * count, "labels": labels})


def train(variant: str, epochs: int, device: str) -> tuple[float, float]:
    """Seconds of a whole run, teacher included, and its last loss."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-4,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=device == "cpu",
        )
        model = prepare_model(encoder().to(device), AdapterConfig(r=8))
        config = BALoraConfig.nlu(teacher_cache_dir=folder, **VARIANTS[variant])
        trainer = BALoraTrainer(model=model, args=arguments, config=config, train_dataset=examples(EXAMPLES[device]))
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    return seconds, losses[-1]


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """For every number of epochs all variants in turn.

    Raises:
        SystemExit: the cached and the live teacher end at different losses.
    """
    del shapes
    results = []
    for epochs in EPOCHS:
        result = Result(f"classification, {epochs} epochs of {EXAMPLES[device]} x {LENGTH} tokens", device, OWN)
        losses: dict[str, float] = {}
        result.seconds = {name: [] for name in VARIANTS}
        names = list(VARIANTS)
        train(OWN, 1, device)
        for turn in range(max(1, rounds)):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seconds, losses[name] = train(name, epochs, device)
                result.seconds[name].append(seconds)
        result.gates["cached against live teacher"] = abs(losses[CACHED] - losses[LIVE]) / abs(losses[LIVE])
        if not result.gates["cached against live teacher"] <= GATE:
            raise SystemExit("a run with the cached teacher ends elsewhere than one with the live teacher")
        result.table = markdown(["goal for the cached teacher", f"{goal(epochs):.2f}"])
        results.append(result)
    return results
