"""What a transformers model is for, and what follows from it: task, objective, padding."""

from __future__ import annotations

import inspect
from typing import Any

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from balora.data import Collator, make_collator
from balora.errors import ModelError
from balora.losses import ClassificationObjective, GenerationObjective, Objective, RegressionObjective
from balora.task import Task
from balora.training.config import BALoraConfig


def is_decoder_only(base: PreTrainedModel) -> bool:
    """Whether positions count from the first real token: GPT-like bodies, whatever head they carry."""
    generates, fills_in = MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING
    takes_positions = "position_ids" in inspect.signature(base.forward).parameters
    return type(base.config) in generates and type(base.config) not in fills_in and takes_positions


def default_collator(tokenizer: Any, config: Any, task: Task, encoder_decoder: bool) -> Collator:
    """What pads the batches of a trainer that was given no collator."""
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return make_collator(tokenizer, task, encoder_decoder=encoder_decoder)
    return Collator(task, "right", config.pad_token_id or 0, encoder_decoder, None)


def task_of(base: PreTrainedModel) -> Task:
    """What a transformers model is for, by its class and its configuration.

    Raises:
        ModelError: when the class has no head that the objective knows, or labels are not exclusive.
    """
    name = type(base).__name__
    if name.endswith("ForSequenceClassification"):
        if base.config.problem_type == "multi_label_classification":
            fix = "the paper's terms need exclusive classes; set problem_type to single_label_classification"
            raise ModelError.at("model", "problem_type is multi_label_classification", fix)
        regression = base.config.num_labels == 1 or base.config.problem_type == "regression"
        return "regression" if regression else "classification"
    if base.can_generate() or name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return "generation"
    fix = "use a model with a sequence-classification or language-model head"
    raise ModelError.at("model", f"{name} has no head that balora knows", fix)


def objective_for(base: PreTrainedModel, task: Task, config: BALoraConfig, label_smoothing: float) -> Objective:
    """The objective of a task.

    Raises:
        ModelError: when the regularizers are of the other form.
    """
    form = "nlg" if task == "generation" else "nlu"
    if config.form != form:
        fix = f"use BALoraConfig.{form}()"
        raise ModelError.at("config", f"regularizers of form {config.form} do not fit {task}", fix)
    if task == "regression":
        return RegressionObjective(config)
    if task == "classification":
        return ClassificationObjective(config, base.config.num_labels, label_smoothing=label_smoothing)
    return GenerationObjective(config, shift=not base.config.is_encoder_decoder, label_smoothing=label_smoothing)
