"""What can only be seen where recipe, data and machine come together, checked before weights are loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
import transformers
from transformers import TrainingArguments

from balora.errors import InputError, Problem, did_you_mean
from balora.paths import user_path
from balora.recipe import Recipe
from balora.run.parts import Inputs, metric_names
from balora.run.quantization import quantization_problems
from balora.run.resources.estimate import planned_steps


def check_together(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> None:
    """Find what would stop the run between here and its last step.

    Raises:
        InputError: with every problem found.
    """
    problems = [
        *_attention(recipe, inputs),
        *_cache_folder(recipe),
        *_best_metric(recipe, inputs, arguments),
        *_full_batch(inputs, arguments),
        *_first_evaluation(recipe, inputs, arguments),
        *quantization_problems(recipe),
    ]
    if problems:
        raise InputError(problems)


def _attention(recipe: Recipe, inputs: Inputs) -> Iterator[Problem]:
    name = recipe.model.attn_implementation
    if name is None:
        return
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformers.AutoModel.from_config(inputs.config, attn_implementation=name)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        what = f"'{name}' cannot be used ({said})"
        yield Problem("model.attn_implementation", what, "leave it out, or install what it needs")


def _cache_folder(recipe: Recipe) -> Iterator[Problem]:
    folder = recipe.regularizers.teacher_cache_dir
    if folder is None:
        return
    path = user_path(folder, key="regularizers.teacher_cache_dir").absolute()
    lowest = next(part for part in (path, *path.parents) if part.exists())
    if not lowest.is_dir():
        yield Problem("regularizers.teacher_cache_dir", f"'{lowest}' is a file", "name a folder")


def _best_metric(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> Iterator[Problem]:
    wanted = arguments.metric_for_best_model
    if wanted is None:
        return
    names = ["loss", *metric_names(recipe, inputs)]
    if wanted.removeprefix("eval_") not in names:
        where = "training.metric_for_best_model"
        yield Problem(where, f"no score is called '{wanted}' here", did_you_mean(wanted.removeprefix("eval_"), names))


def _full_batch(inputs: Inputs, arguments: TrainingArguments) -> Iterator[Problem]:
    rows = len(inputs.data.train)
    batch = arguments.train_batch_size * arguments.world_size
    if arguments.dataloader_drop_last and rows < batch:
        fix = "lower training.per_device_train_batch_size, or remove dataloader_drop_last"
        yield Problem("training.dataloader_drop_last", f"{rows} rows give no full batch of {batch}", fix)


def _first_evaluation(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> Iterator[Problem]:
    """The best of no evaluation cannot be kept."""
    steps, every = planned_steps(inputs.data, arguments), arguments.eval_steps or 0
    if arguments.eval_strategy == "steps" and arguments.load_best_model_at_end and every >= 1 and every > steps:
        key = "evaluation.every" if recipe.evaluation.every is not None else "training.eval_steps"
        what = f"is {every:g} steps, but the run has {steps}, so nothing is scored and no best model can be kept"
        yield Problem(key, what, f"set it to {steps} or less")
