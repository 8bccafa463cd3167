"""Before the first step: set up the teacher, check it, and let it answer in advance where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from balora.adapters import load_start
from balora.errors import ModelError
from balora.task import Task
from balora.teacher import (
    FrozenCopyTeacher,
    LiveTeacher,
    Teacher,
    UntrainedTeacher,
    build_cached_teacher,
    check_adapter_start,
    check_agreement,
    evaluation_mode,
    fit_linear_probe,
)
from balora.training.config import BALoraConfig
from balora.training.rows import ROW, has_row_numbers

CHECKED_ROWS = 4
"""Examples that the self-check runs."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run looks like before its first step; the model is still as it was prepared."""

    model: nn.Module
    config: BALoraConfig
    task: Task
    adapted: bool
    """Whether there are adapters to turn off."""
    examples: Any
    """The training split."""
    collate: Callable[[list[Any]], dict[str, Any]]
    model_inputs: Callable[[dict[str, Any], Tensor], dict[str, Any]]
    """Batch without labels, and labels -> what the forward gets."""
    headless: Callable[[Teacher], AbstractContextManager[None]]
    """Inside this block model and teacher give the states before their heads, where logits would be too large; or it
    does nothing."""
    batch_size: int
    """Examples per forward where nothing is trained."""
    epochs: float
    """How often an example comes up."""
    checkpoint: Path | None = None
    """Where the run goes on from; None for a new one."""


def start_teacher(start: Start) -> Teacher | None:
    """The teacher of a run, checked; None where nothing needs one.

    Raises:
        ModelError: a teacher setting does not fit the task or the data.
        SelfCheckError: student and teacher disagree at step 0.
    """
    config = start.config
    check_teacher_settings(start)
    if start.adapted and config.self_check:
        check_adapter_start(start.model)
    if start.adapted and start.checkpoint is not None:
        # A resumed run goes on with the heads it began with, not with those that this process drew or would fit.
        load_start(start.model, start.checkpoint)
    elif config.teacher_head == "linear_probe":
        fit_linear_probe(
            LiveTeacher() if start.adapted else UntrainedTeacher(),
            start.model,
            start.examples,
            start.collate,
            task=start.task,
            batch_size=start.batch_size,
        )
    needed = config.consistency_weight > 0
    if not start.adapted and not needed:
        return None
    teacher: Teacher = LiveTeacher() if start.adapted else FrozenCopyTeacher(start.model)
    if config.self_check:
        check_first_examples(start, teacher)
    if needed and start.task != "generation" and wants_cache(start):
        return build_cached_teacher(
            teacher,
            start.model,
            start.examples,
            start.collate,
            batch_size=start.batch_size,
            folder=config.teacher_cache_dir,
        )
    return teacher


def wants_cache(start: Start) -> bool:
    """Whether the teacher's outputs are computed once per example instead of on every batch.

    `auto` does so for classification and regression when an example comes up more than once.
    """
    if start.config.teacher != "auto":
        return start.config.teacher == "cached"
    return start.task != "generation" and has_row_numbers(start.examples) and start.epochs > 1


def check_teacher_settings(start: Start) -> None:
    """Refuse teacher settings that cannot work here.

    Raises:
        ModelError: names the setting and the way out.
    """
    config = start.config
    if start.task == "generation" and config.teacher_head != "initial":
        what = f"teacher_head {config.teacher_head} is for classification and regression"
        raise ModelError.at("regularizers.teacher_head", what, "leave it out")
    if config.teacher == "cached" and not has_row_numbers(start.examples):
        what = "a cached teacher needs the training data as datasets.Dataset"
        raise ModelError.at("regularizers.teacher", what, "convert it, or set teacher: live")
    if config.teacher_head == "linear_probe" and not isinstance(start.examples, Sized):
        what = "a linear probe needs training data with a length"
        raise ModelError.at("regularizers.teacher_head", what, "use a sized dataset, or teacher_head: initial")


def labels_of(batch: dict[str, Any]) -> Tensor:
    """Take the labels out of a batch.

    Raises:
        ModelError: there are none.
    """
    if "labels" not in batch:
        what = f"its batches hold no labels (found {', '.join(batch) or 'nothing'})"
        raise ModelError.at("train_dataset", what, "add a column labels, or pass a data_collator that makes them")
    labels: Tensor = batch.pop("labels")
    return labels


def check_first_examples(start: Start, teacher: Teacher) -> None:
    """Compare student and teacher on the first examples.

    They are not drawn from the sampler, whose state stays as it is; a stream of unknown length is not touched.

    Raises:
        SelfCheckError: with the measured gap.
    """
    if not isinstance(start.examples, Sized) or len(start.examples) == 0:
        return
    device = next(start.model.parameters()).device
    examples: Any = start.examples
    batch = dict(start.collate([examples[index] for index in range(min(CHECKED_ROWS, len(examples)))]))
    batch = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
    batch.pop(ROW, None)
    labels = labels_of(batch)
    inputs = start.model_inputs(batch, labels)
    with start.headless(teacher):
        with torch.no_grad(), evaluation_mode(start.model):
            student: Tensor = start.model(**inputs).logits
        reference = teacher.logits(start.model, inputs)
    mask = inputs.get("attention_mask")
    if mask is not None and student.dim() == 3 and mask.shape == student.shape[:2]:
        # What padding computes is nobody's business and differs between kernels.
        student, reference = student[mask.bool()], reference[mask.bool()]
    check_agreement(
        student=student,
        teacher=reference,
        dtype=next(start.model.parameters()).dtype,
        tolerance=start.config.self_check_tolerance,
    )
