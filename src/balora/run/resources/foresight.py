"""Whether a run may not fit this machine, looked at before it starts: closely only where a rough bound comes near."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from transformers import TrainingArguments

from balora.main_memory import free_main_memory
from balora.recipe import Recipe
from balora.run.parts import Inputs, run_folder_of
from balora.run.resources.estimate import Estimate, batch_shapes, checkpoints_kept, estimate
from balora.run.resources.machine import existing

COPIES = 5
"""Of the weights in float32: themselves, a teacher, gradients, two moments."""
KEPT_PER_LAYER = 32
"""Widths d that a position keeps per layer for the backward pass; measured 15 to 25 on Llama, RoBERTa and T5."""
LOGITS = 6
"""Copies of the logits of a batch."""
BYTES = 4


def foresee(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> Estimate | None:
    """The estimate of a run that might not fit; None where it does so easily, or where it cannot be reckoned.

    The bound takes no time. The estimate took 0.4 s for a model of 2 layers on two cores and grows with the layers; the
    state of random numbers is what it was before.
    """
    with suppress(Exception):  # a courtesy: whatever is wrong with the run, the run says better
        memory = free_main_memory() if arguments.device.type != "cuda" else torch.cuda.mem_get_info(arguments.device)[0]
        disk = shutil.disk_usage(existing(run_folder_of(recipe))).free
        kept = checkpoints_kept(inputs.data, arguments)
        written = (kept + 1) * 3 * rough_weights(inputs.config)
        if 2 * rough_memory(recipe, inputs, arguments) < memory and written < disk:
            return None
        with _random_state_kept(arguments.device):
            return estimate(recipe, inputs, arguments)
    return None


def rough_memory(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> int:
    """Bytes that training takes at most beside the program, from the sizes in the model's configuration alone."""
    config = inputs.config
    shape, _ = batch_shapes(inputs.data, arguments)
    width, layers = _width(config), _layers(config)
    heads = int(getattr(config, "num_attention_heads", None) or 16)
    per_place = layers * (KEPT_PER_LAYER * width + 4 * heads * max(shape.tokens, shape.target_tokens))
    if recipe.task == "generation":
        per_place += LOGITS * int(getattr(config, "vocab_size", 0))
    return COPIES * rough_weights(config) + BYTES * shape.positions * per_place


def rough_weights(config: Any) -> int:
    """Bytes of the weights in float32, or somewhat more."""
    width, layers = _width(config), _layers(config)
    inner = int(getattr(config, "intermediate_size", None) or getattr(config, "d_ff", None) or 4 * width)
    experts = int(getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None) or 1)
    embeddings = 2 * int(getattr(config, "vocab_size", 0)) * width
    return BYTES * (layers * (8 * width * width + 3 * inner * width * experts) + embeddings)


def _width(config: Any) -> int:
    return int(getattr(config, "hidden_size", None) or config.d_model)


def _layers(config: Any) -> int:
    sides = 2 if config.is_encoder_decoder else 1
    return sides * int(getattr(config, "num_hidden_layers", None) or config.num_layers)


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    """What a run draws must not depend on whether it was looked at beforehand."""
    python, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)
