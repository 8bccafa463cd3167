"""R7: NaN and infinities in every place, at every kind of moment."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from balora.adapters import AdapterConfig
from balora.artefacts import list_checkpoints
from balora.errors import DivergedError
from balora.losses import TERMS
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.rows import ROW
from tests.faults.figures import Figures, measure
from tests.faults.forked import scratch
from tests.faults.small_run import published_are_good
from tests.support import rows, tiny

PROMISE = "not finite: stopped before the update, exit 3, step, term and rows named, nothing of it published"
PLACES = ("task", *TERMS, "total", "gradient", "weights", "teacher")
VALUES = (math.nan, math.inf, -math.inf)
STEPS, PARTS = 5, 3
MOMENTS = {"first": (1, 0), "middle": (3, 0), "mid-accumulation": (3, 1), "last": (5, 2)}
"""Name -> optimiser step and micro-batch."""


@dataclass
class Injection:
    """Puts one value in one place at one moment of a trainer."""

    trainer: BALoraTrainer
    place: str
    value: float
    step: int
    part: int
    rows: tuple[int, ...] = ()
    """The training rows of that micro-batch."""
    before: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    _seen: int = 0

    def install(self) -> None:
        trainer = self.trainer
        compute = trainer.compute_loss

        def compute_loss(model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            self._seen += 1
            now = self._seen == (self.step - 1) * PARTS + self.part + 1
            if self._seen == (self.step - 1) * PARTS + 1:
                self.before = trained(trainer)
            if not now:
                return compute(model, inputs, *args, **options)
            self.rows = tuple(inputs[ROW].tolist())
            with self.spoiled():
                return compute(model, inputs, *args, **options)

        trainer.compute_loss = compute_loss  # type: ignore[method-assign]

    def spoiled(self) -> Any:
        @contextlib.contextmanager
        def inside() -> Any:
            undo: Callable[[], None] = lambda: None  # noqa: E731
            parameter = next(p for n, p in self.trainer.model.named_parameters() if "lora_B" in n and p.requires_grad)
            if self.place == "weights":
                parameter.data.view(-1)[3] = self.value
            elif self.place == "gradient":
                undo = parameter.register_hook(lambda gradient: gradient + self.value).remove
            elif self.place == "teacher":
                undo = self._spoil_teacher()
            else:
                undo = self._spoil_report()
            try:
                yield
            finally:
                if self.place != "gradient":
                    undo()

        return inside()

    def _spoil_teacher(self) -> Callable[[], None]:
        teacher: Any = self.trainer.teacher
        real = teacher.logits

        def logits(*args: Any, **options: Any) -> Tensor:
            answers: Tensor = real(*args, **options).clone()
            answers[0, ..., 1] = self.value
            return answers

        object.__setattr__(teacher, "logits", logits)
        return lambda: object.__delattr__(teacher, "logits")

    def _spoil_report(self) -> Callable[[], None]:
        trainer: Any = self.trainer
        owner, name = (trainer, "objective") if trainer.fused is None else (trainer.fused, "report")
        real = getattr(owner, name)

        def report(*args: Any, **options: Any) -> Any:
            made = real(*args, **options)
            changes = {"total": made.total + self.value}
            if self.place != "total":
                changes[self.place] = made.term(self.place) + self.value
            return dataclasses.replace(made, **changes)

        object.__setattr__(owner, name, report)
        if owner is trainer:
            return lambda: object.__setattr__(owner, name, real)
        return lambda: object.__delattr__(owner, name)


def trained(trainer: BALoraTrainer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


def make_trainer(folder: Path, kind: str) -> BALoraTrainer:
    transformers.set_seed(0)
    weights = {"consistency_weight": 0.3, "diversity_weight": 0.2, "spectral_weight": 0.1}
    schedules = {f"{term}_schedule": "constant" for term in TERMS}
    classifies = kind == "classes"
    base = tiny.build("roberta", "sequence_classification", num_labels=3) if classifies else tiny.build("llama")
    trainer = BALoraTrainer(
        model=prepare_model(base, AdapterConfig(r=2)),
        args=rows.arguments(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=4 if classifies else 2,
            gradient_accumulation_steps=PARTS,
            save_strategy="steps",
            save_steps=1,
            save_total_limit=2,
            save_only_model=False,
        ),
        config=BALoraConfig(form="nlu" if classifies else "nlg", **weights, **schedules, teacher="live"),
        train_dataset=rows.classified_rows(60) if classifies else rows.language_rows(60),
        data_collator=rows.collator("classification" if classifies else "generation"),
    )
    trainer.remove_callback(transformers.PrinterCallback)  # its lines would hide the row's
    return trainer


def case(folder: Path, kind: str, place: str, value: float, moment: str) -> str | None:
    with scratch(folder):
        return inject(make_trainer(folder, kind), folder, place, value, *MOMENTS[moment])


def inject(
    trainer: BALoraTrainer, folder: Path, place: str, value: float, step: int, part: int, *, here: bool = True
) -> str | None:
    """What is wrong with how a run ends; `here`: whether this process is the one that is spoiled."""
    injection = Injection(trainer, place, value if here else 0.0, step, part)
    if here or place not in {"weights", "teacher"}:
        injection.install()
    try:
        trainer.train()
    except DivergedError as error:
        text = str(error)
    else:
        return "it went on to the end"
    if error_code(text) is not None:
        return error_code(text)
    if not text.startswith(f"step {step}: "):
        return f"another step is named: {text}"
    if here and not text.startswith(f"step {step}: {place} not finite") and "process" not in text:
        return f"another term is named: {text}"
    if here and not rows_are_named(text, injection.rows):
        return f"rows {injection.rows} are not named: {text}"
    if trainer.state.global_step != step - 1:
        return f"stopped after {trainer.state.global_step} updates"
    if here and injection.before:
        spoiled = sum(not torch.equal(value, injection.before[name]) for name, value in trained(trainer).items())
        if spoiled > (place == "weights"):
            return f"{spoiled} weights moved"
    saved = [int(each.name.split("-")[1]) for each in list_checkpoints(folder)]
    if saved and max(saved) > step - 1:
        return f"published after it: {saved}"
    return published_are_good(folder)


def error_code(text: str) -> str | None:
    return None if DivergedError(text).exit_code == 3 else "the exit code is not 3"


def rows_are_named(text: str, expected: tuple[int, ...]) -> bool:
    """Whether the spans of the message hold all these rows; long lists are cut, so the first must do."""
    listed = [part.split(")")[0].split(" and ")[0].split(", ") for part in text.split("training rows ")[1:]]
    named = {row for spans in listed for span in spans for row in _span(span)}
    # Long lists are cut after eight spans.
    return set(expected) <= named or any(len(spans) >= 8 for spans in listed)


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def row(folder: Path, count: int) -> Figures:
    """All 96 of one process, or `count` of them spread evenly; every other one trains a language model."""
    every = list(product(PLACES, VALUES, MOMENTS))
    chosen = every[:: max(len(every) // min(count, len(every)), 1)]
    cases = (
        (
            f"{place} {value} {moment}",
            partial(case, folder / f"{n}", "classes" if n % 2 else "language", place, value, moment),
        )
        for n, (place, value, moment) in enumerate(chosen)
    )
    return measure("R7", PROMISE, cases)
