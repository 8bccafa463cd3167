"""Where fine-tunes of one base model are made through ordinary recipes, and measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel

from balora.artefacts.layout import RUN_RECORD
from balora.demo.plan import DemoPlan, Method
from balora.lab import (
    BaseModel,
    Exam,
    LabScores,
    TaskFiles,
    TaskSettings,
    World,
    build_task,
    logits_of,
    write_task,
)
from balora.recipe import Recipe
from balora.run import RunResult

TrainFunction = Callable[[Recipe], RunResult]
"""Turns a recipe into a run folder."""


@dataclass(frozen=True, slots=True)
class Run:
    """One fine-tune, measured."""

    method: str
    learning_rate: float
    seed: int
    folder: Path
    train_s: float
    """Wall time of the training loop."""
    peak_mib: float
    """Peak resident memory of the whole process while training."""
    validation_accuracy: float
    """Task accuracy on the validation split, by which the learning rate is chosen."""
    scores: LabScores
    """On the test split."""

    def as_dict(self) -> dict[str, Any]:
        """Every number, ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class Bench:
    """The base model, and per seed the task it is fine-tuned on and the questions about it."""

    plan: DemoPlan
    base: BaseModel
    folder: Path
    exams: dict[int, Exam]
    """By seed."""
    files: dict[int, TaskFiles]
    """By seed."""
    base_scores: dict[int, LabScores]
    """By seed: the base model before any fine-tune."""

    @classmethod
    def of(cls, world: World, base: BaseModel, plan: DemoPlan, folder: Path) -> Bench:
        """Draw and write the task of every seed, and ask the base model what it knows."""
        tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
        knows = logits_of(load_base(base))
        exams, files, scores = {}, {}, {}
        for seed in plan.seeds:
            task = build_task(world, TaskSettings(**{**plan.task.model_dump(), "seed": seed}))
            files[seed] = write_task(task, folder / f"task-seed{seed}")
            exams[seed] = Exam.of(knows, tokenizer, world, task)
            scores[seed] = exams[seed].scores(knows)
        return cls(plan, base, folder, exams, files, scores)

    def recipe(self, method: Method, learning_rate: float, seed: int) -> Recipe:
        """The recipe of one fine-tune, as a user would write it."""
        sections: dict[str, Any] = {
            "model": {"name_or_path": str(self.base.folder)},
            "data": {"train": str(self.files[seed].train), "format": "prompt_completion", "template": "plain"},
            "adapter": {"method": method.adapter, "r": self.plan.rank, "seed": seed},
            "regularizers": method.regularizers,
            "training": {
                "num_train_epochs": self.plan.epochs,
                "per_device_train_batch_size": self.plan.batch_size,
                "learning_rate": learning_rate,
                "lr_scheduler_type": "linear",
                "weight_decay": 0.0,
                "save_strategy": "no",
                "use_cpu": True,
                "seed": seed,
            },
            "output": {"dir": str(self.folder / "runs" / f"{method.name.lower()}-lr{learning_rate:g}-seed{seed}")},
        }
        return Recipe(task="generation", **sections)

    def run(self, method: Method, learning_rate: float, seed: int, train: TrainFunction) -> Run:
        """Fine-tune once, read the adapter back with PEFT onto the untouched base, and measure it."""
        result = train(self.recipe(method, learning_rate, seed))
        model = logits_of(PeftModel.from_pretrained(load_base(self.base), result.folder))
        record = json.loads((result.folder / RUN_RECORD).read_text(encoding="utf-8"))
        exam = self.exams[seed]
        return Run(
            method=method.name,
            learning_rate=learning_rate,
            seed=seed,
            folder=result.folder,
            train_s=result.train_seconds,
            peak_mib=1024 * float(record["peak_cpu_gib"]),
            validation_accuracy=exam.validation_accuracy(model),
            scores=exam.scores(model),
        )


def load_base(base: BaseModel) -> torch.nn.Module:
    """The pretrained model, untouched by any fine-tune."""
    model: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(base.folder)
    return model
