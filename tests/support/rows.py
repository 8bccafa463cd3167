"""Tiny encoded datasets of random tokens for each kind of task, and trainers on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import TrainingArguments

from balora.data import make_collator
from balora.task import Task
from tests.support import tiny


def language_rows(count: int = 24, seed: int = 0, prompt: int = 2) -> datasets.Dataset:
    """Sequences of 5 to 11 tokens whose first `prompt` tokens are not learned."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for row in range(count):
        length = int(torch.randint(5, 12, (1,), generator=generator))
        ids = torch.randint(3, tiny.VOCABULARY_SIZE, (length,), generator=generator).tolist()
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:], "row": row})
    return datasets.Dataset.from_list(rows)


def classified_rows(count: int = 24, classes: int = 3, seed: int = 0) -> datasets.Dataset:
    """Sequences whose class is their first token modulo the number of classes."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for row in range(count):
        length = int(torch.randint(4, 10, (1,), generator=generator))
        ids = torch.randint(3, tiny.VOCABULARY_SIZE, (length,), generator=generator).tolist()
        rows.append({"input_ids": ids, "labels": ids[0] % classes, "row": row})
    return datasets.Dataset.from_list(rows)


def scored_rows(count: int = 24, seed: int = 0) -> datasets.Dataset:
    """Sequences whose score is their mean token over the vocabulary size."""
    rows = classified_rows(count, seed=seed)
    scores = [sum(ids) / len(ids) / tiny.VOCABULARY_SIZE for ids in rows["input_ids"]]
    return rows.remove_columns("labels").add_column("labels", scores)


def translated_rows(count: int = 16, seed: int = 0) -> datasets.Dataset:
    """Source sequences with short target sequences."""
    rows = language_rows(count, seed=seed)
    targets = [[*ids[:4], 2] for ids in rows["input_ids"]]
    return rows.remove_columns("labels").add_column("labels", targets)


def collator(task: Task, *, side: str = "right", encoder_decoder: bool = False) -> Any:
    return make_collator(tiny.character_tokenizer(padding_side=side), task, encoder_decoder=encoder_decoder)


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    """Quiet CPU arguments: 6 steps of 4 rows at a visible learning rate."""
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "learning_rate": 5e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
    }
    return TrainingArguments(**{**values, **changes})
