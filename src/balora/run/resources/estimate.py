"""Memory, disk and time of a run, part by part, and whether this machine has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import TrainingArguments

from balora.adapters import find_method
from balora.data import EncodedData
from balora.models import build_empty_model
from balora.recipe import Recipe
from balora.run.parts import Inputs, run_folder_of
from balora.run.resources.machine import Machine, look_at_machine
from balora.run.resources.optimizer_state import optimizer_bytes_per_parameter
from balora.run.resources.rehearsal import Shape, StepTally, rehearse_step
from balora.training.fused_path import CHUNK_MIB
from balora.training.head import find_head

GIB = 1 << 30

QUANTIZED_BYTES = {"nf4": 0.5625, "int8": 1.0, "torchao_int8": 1.0}
"""Bytes per weight of a quantized layer: nf4 has 4 bits and one float32 scale for 64 weights."""

EXPLICIT_COPIES = 5
"""Float32 copies of a batch's logits while the explicit path computes: student's, teacher's, both log-probabilities,
the gradient."""

SCORED_COPIES = 3
"""Float32 copies of the logits where a batch is only scored: as they come, in float32, their log-probabilities."""

OPTIMIZER_PASSES = 3
"""How often an optimizer step goes over what trains and its state: clipping, the guard's look at it, the update."""

HOST_LAUNCHES = 14
"""Time of an operation on a CPU in Python modules with autograd, guard and loop, in launches of a bare one. Measured
13 on a RoBERTa and a Llama of two layers."""

KEPT_BESIDE_CHECKPOINTS_BYTES = 20 << 20
"""Tokenizer, records and logs of a run folder."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is reckoned to take; each mapping goes from a part to its share."""

    machine: Machine
    memory_bytes: Mapping[str, int]
    """On the device that trains, at the largest micro-batch."""
    disk_bytes: Mapping[str, int]
    steps: int
    """Optimizer steps."""
    step_s: float
    """Of an average one."""
    remarks: tuple[str, ...] = ()
    """What stands in the way of the run apart from the machine."""

    @property
    def memory_total_bytes(self) -> int:
        """All parts."""
        return sum(self.memory_bytes.values())

    @property
    def disk_total_bytes(self) -> int:
        """All parts."""
        return sum(self.disk_bytes.values())

    @property
    def train_s(self) -> float:
        """Seconds of all steps; evaluation and start are not in it."""
        return self.steps * self.step_s

    @property
    def fits_memory(self) -> bool:
        """Whether the device has that much; what this process holds already counts as free."""
        return self.memory_total_bytes <= self.machine.free_memory_bytes + self.machine.held_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether the disk has that much."""
        return self.disk_total_bytes <= self.machine.free_disk_bytes

    @property
    def warnings(self) -> list[str]:
        """What does not fit, with numbers and what to change; empty where everything does."""
        found = list(self.remarks)
        if not self.fits_memory:
            largest = max(self.memory_bytes, key=self.memory_bytes.__getitem__)
            free = self.machine.free_memory_bytes + self.machine.held_bytes
            found.append(
                f"needs about {sized(self.memory_total_bytes)} on {self.machine.device}, which has {sized(free)}; "
                f"most of it for {largest}: {_REMEDIES.get(largest, _LESS)}"
            )
        if not self.fits_disk:
            found.append(
                f"writes up to {sized(self.disk_total_bytes)}, and the disk has {sized(self.machine.free_disk_bytes)} "
                "free; set output.dir to another disk, or lower training.save_total_limit"
            )
        return found

    def lines(self) -> list[str]:
        """The estimate for people."""
        memory = ", ".join(f"{part} {sized(size)}" for part, size in self.memory_bytes.items() if size >= 1 << 20)
        disk = ", ".join(f"{part} {sized(size)}" for part, size in self.disk_bytes.items() if size >= 1 << 20)
        free = self.machine.free_memory_bytes + self.machine.held_bytes
        return [
            f"memory: about {sized(self.memory_total_bytes)} of {sized(free)} on {self.machine.device} ({memory})",
            f"disk: up to {sized(self.disk_total_bytes)} of {sized(self.machine.free_disk_bytes)} free ({disk})",
            (
                f"time: about {_duration(self.train_s)} for {self.steps} steps of {self.step_s:.2g} s, "
                "up to three times that on a busy machine, without evaluation"
            ),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "device": self.machine.device,
            "memory_bytes": dict(self.memory_bytes),
            "memory_total_bytes": self.memory_total_bytes,
            "memory_free_bytes": self.machine.free_memory_bytes + self.machine.held_bytes,
            "disk_bytes": dict(self.disk_bytes),
            "disk_total_bytes": self.disk_total_bytes,
            "disk_free_bytes": self.machine.free_disk_bytes,
            "steps": self.steps,
            "step_s": self.step_s,
            "train_s": self.train_s,
            "warnings": self.warnings,
        }


FRAGMENTS = 0.25
"""What allocators lose to fragments, of what comes and goes in a step. Measured on two tiny runs on a CPU: the resident
set peaked 10 and 30 % above the sum of the parts."""

_LESS = (
    "halve training.per_device_train_batch_size and double training.gradient_accumulation_steps, "
    "or shorten data.max_length"
)
_REMEDIES = {
    "activations": f"{_LESS}, or set training.gradient_checkpointing: true",
    "logits": _LESS,
    "evaluation": "lower training.per_device_eval_batch_size",
    "loss": f"{_LESS}, or lower regularizers.loss_chunk_mib",
    "weights": "load them in bfloat16 (model.dtype) or in 4 bits (model.quantization: nf4)",
    "teacher's copy": "train an adapter instead of every weight, or switch consistency off",
    "optimizer": "train an adapter, lower adapter.r, or use training.optim: adamw_bnb_8bit",
    "singular vectors at the start": "set adapter.svd: randomized",
}


def estimate(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments, machine: Machine | None = None) -> Estimate:
    """Reckon what a run takes; no weights are read and nothing is written.

    Memory: weights, gradients and optimizer state from their sizes; activations from one micro-batch of the longest
    rows on fake tensors, operation by operation; the loss from its chunk size or the size of the logits. Time:
    FLOPs, bytes and operations of that step over speeds tried out on this machine, scaled to the average batch.

    Args:
        recipe: what is to run.
        inputs: its data, tokenizer and configuration.
        arguments: its training arguments.
        machine: left out: this one is looked at.

    Raises:
        ModelError: as `build_empty_model` and `attach_adapter`.
    """
    empty = build_empty_model(recipe.model, recipe.task, label_names=inputs.text.label_names)
    _set_type(empty, recipe, inputs)
    fused = recipe.task == "generation" and recipe.regularizers.loss_path == "auto" and find_head(empty)[0] is not None
    largest, average_positions = batch_shapes(inputs.data, arguments)
    consistency = recipe.regularizers.consistency_weight > 0
    cached = recipe.task != "generation" and recipe.regularizers.teacher != "live" and arguments.num_train_epochs > 1
    evaluated = evaluation_shape(inputs.data, arguments)
    step = rehearse_step(
        empty, recipe.adapter, arguments, largest, has_teacher=consistency and not cached, evaluated=evaluated
    )
    dtype = torch.bfloat16 if arguments.bf16 else torch.float32
    here = machine or look_at_machine(
        arguments.device, run_folder_of(recipe), rows=largest.positions, width=step.width, dtype=dtype
    )
    state = round(optimizer_bytes_per_parameter(arguments) * step.trained_count)
    accumulated = arguments.gradient_accumulation_steps
    share = average_positions / largest.positions
    update_s = OPTIMIZER_PASSES * (step.trained_bytes + state) / here.bytes_per_s
    once = _seconds(step, here, share, head_positions=largest.positions if recipe.task == "generation" else 0)
    return Estimate(
        machine=here,
        memory_bytes=_memory(recipe, arguments, step, (largest, evaluated), here, fused=fused, optimizer=state),
        disk_bytes=_disk(arguments, step, state, inputs.data),
        steps=planned_steps(inputs.data, arguments),
        step_s=once * accumulated + update_s,
    )


def batch_shapes(data: EncodedData, arguments: TrainingArguments) -> tuple[Shape, float]:
    """The largest micro-batch that can come, and the mean number of padded places of one drawn at random."""
    lengths = np.array([len(ids) for ids in data.train["input_ids"]])
    rows = min(arguments.train_batch_size, len(lengths))
    answers = np.array([len(ids) for ids in data.train["labels"]]) if data.encoder_decoder else np.zeros_like(lengths)
    shape = Shape(rows, int(lengths.max()), int(answers.max()))
    order = np.random.default_rng(0).permutation(len(lengths))
    whole = order[: len(order) // rows * rows].reshape(-1, rows)
    mean = (lengths[whole].max(axis=1) + answers[whole].max(axis=1)).mean() * rows
    return shape, float(mean)


def evaluation_shape(data: EncodedData, arguments: TrainingArguments) -> Shape | None:
    """The largest batch of the validation and test splits; None where there is neither."""
    splits = [split for split in (data.validation, data.test) if split is not None and len(split)]
    if not splits:
        return None
    rows = min(arguments.eval_batch_size, max(len(split) for split in splits))
    tokens = max(len(ids) for split in splits for ids in split["input_ids"])
    labelled = [split for split in splits if data.encoder_decoder and "labels" in split.column_names]
    return Shape(rows, tokens, max((len(ids) for split in labelled for ids in split["labels"]), default=0))


def _set_type(empty: Any, recipe: Recipe, inputs: Inputs) -> None:
    wanted = recipe.model.dtype
    stored = inputs.config.dtype
    dtype = (stored if isinstance(stored, torch.dtype) else torch.float32) if wanted == "auto" else None
    empty.to(dtype or getattr(torch, wanted))


def _memory(
    recipe: Recipe,
    arguments: TrainingArguments,
    step: StepTally,
    shapes: tuple[Shape, Shape | None],
    machine: Machine,
    *,
    fused: bool,
    optimizer: int,
) -> dict[str, int]:
    largest, evaluated = shapes
    bits = recipe.model.quantization
    weights = step.frozen_bytes
    if bits is not None:
        outside = 2 * step.head_rows * step.width  # embedding and head keep their type
        inside = max(step.frozen_bytes // 2 - outside, 0)
        weights = round(inside * QUANTIZED_BYTES[bits]) + 2 * outside
    method = find_method(recipe.adapter.method)
    consistency = recipe.regularizers.consistency_weight > 0
    full = not method.keeps_base
    parts = {
        "program": machine.held_bytes,
        "weights": weights + (step.trained_bytes if full else 0),
        "adapter": 0 if full else step.trained_bytes + step.anchor_bytes,
        "teacher's copy": step.trained_bytes + step.frozen_bytes if full and consistency else 0,
        "gradients": step.trained_bytes,
        "optimizer": optimizer,
        "activations": max(step.student_bytes, step.teacher_bytes),
    }
    if recipe.task == "generation":
        chunk = (recipe.regularizers.loss_chunk_mib or CHUNK_MIB[arguments.device.type == "cpu"]) << 20
        parts["loss" if fused else "logits"] = _loss_bytes(step, largest, chunk if fused else None, EXPLICIT_COPIES)
    passing = sum(parts.get(name, 0) for name in ("activations", "loss", "logits"))
    if evaluated is not None:
        scoring = step.evaluation_bytes
        if recipe.task == "generation":
            scoring += _loss_bytes(step, evaluated, chunk if fused else None, SCORED_COPIES)
        # Gradients of the step before are gone by then, and weights and optimizer are not.
        parts["evaluation"] = max(0, scoring - passing - step.trained_bytes)
        passing += parts["evaluation"]
    parts["fragments"] = round(FRAGMENTS * passing)
    start = 4 * step.largest_layer_bytes if method.anchored else 0
    held_later = sum(parts[name] for name in ("gradients", "optimizer", "activations"))
    parts["singular vectors at the start"] = max(0, start - held_later)
    return parts


def _loss_bytes(step: StepTally, shape: Shape, chunk_bytes: int | None, copies: int) -> int:
    """What the loss of a generated batch holds: all logits, or a chunk of them at a time beside the states."""
    places = shape.rows * (shape.target_tokens or shape.tokens)
    logits = copies * 4 * places * step.head_rows
    return logits if chunk_bytes is None else min(chunk_bytes, logits) + 3 * 4 * places * step.width


def _disk(arguments: TrainingArguments, step: StepTally, optimizer: int, data: EncodedData) -> dict[str, int]:
    adapter = step.trained_bytes + step.anchor_bytes
    checkpoint = step.trained_bytes + step.anchor_bytes + optimizer
    kept = checkpoints_kept(data, arguments)
    return {
        "adapter": adapter + KEPT_BESIDE_CHECKPOINTS_BYTES,
        f"{kept} checkpoints": kept * checkpoint,
    }


def checkpoints_kept(data: EncodedData, arguments: TrainingArguments) -> int:
    """The most checkpoints that lie in the run folder at any moment."""
    saves = _saves(arguments, planned_steps(data, arguments), steps_per_epoch(data, arguments))
    # Two are kept at least, and a new one is whole before an old one goes.
    return min(saves, max(arguments.save_total_limit or saves, 2) + 1)


def _evaluations(arguments: TrainingArguments, steps: int, steps_of_an_epoch: int) -> int:
    if arguments.eval_strategy.value == "no":
        return 0
    if arguments.eval_strategy.value == "epoch":
        return max(math.ceil(steps / steps_of_an_epoch), 1)
    every = float(arguments.eval_steps or 1)
    return max(math.ceil(steps / (every if every >= 1 else max(round(every * steps), 1))), 1)


def _saves(arguments: TrainingArguments, steps: int, steps_of_an_epoch: int) -> int:
    strategy = arguments.save_strategy.value
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return max(math.ceil(steps / steps_of_an_epoch), 1)
    if strategy == "best":
        return _evaluations(arguments, steps, steps_of_an_epoch)
    every = arguments.save_steps if arguments.save_steps >= 1 else max(round(arguments.save_steps * steps), 1)
    return max(math.ceil(steps / float(every)), 1)


def planned_steps(data: EncodedData, arguments: TrainingArguments) -> int:
    """Optimizer steps of the whole run."""
    if arguments.max_steps > 0:
        return int(arguments.max_steps)
    return math.ceil(steps_per_epoch(data, arguments) * float(arguments.num_train_epochs))


def steps_per_epoch(data: EncodedData, arguments: TrainingArguments) -> int:
    """Optimizer steps of one pass over the rows; the last one of a pass may have fewer micro-batches."""
    shares: float = len(data.train) / (arguments.train_batch_size * max(arguments.world_size, 1))
    batches = math.floor(shares) if arguments.dataloader_drop_last else math.ceil(shares)
    return max(math.ceil(batches / float(arguments.gradient_accumulation_steps)), 1)


def _seconds(step: StepTally, machine: Machine, share: float, *, head_positions: int) -> float:
    """Of a micro-batch: products, elementwise work and the launch of every operation; they overlap on a GPU."""
    head = 3 * 2.0 * head_positions * step.head_rows * step.width
    products = (step.student_flops + step.teacher_flops + head) * share / machine.flops_per_s
    elementwise = step.written_bytes * share / machine.bytes_per_s
    launches = step.kernels * machine.launch_s
    if machine.device == "CPU":
        return products + elementwise + HOST_LAUNCHES * launches
    return max(products + elementwise, launches)


def sized(size: float) -> str:
    """Bytes as people read them.

    >>> sized(3 << 30), sized(5 << 20)
    ('3.0 GiB', '5 MiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / (1 << 20):.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
