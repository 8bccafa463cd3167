"""Settings that users of other tools bring along, each with what to write here instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from balora.adapters.registry import METHODS, method_name


def _start(value: Any) -> str:
    """PEFT's init_lora_weights: a start of the factors is part of the method here."""
    word = str(value).lower()
    fast = re.fullmatch(r"pissa_niter_(\d+)", word)
    if fast:
        return f"write adapter.method: pissa, adapter.svd: randomized, adapter.svd_iterations: {fast[1]}"
    if word == "pissa":
        return "write adapter.method: pissa"
    if word in {"true", "gaussian", "default"}:
        return "write adapter.method: lora"
    if method_name(word) in METHODS:
        return f"write adapter.method: {method_name(word)}"
    return f"{value!r} is not available; adapter.method is one of {', '.join(METHODS)}"


def _method(value: Any) -> str:
    word = str(value).lower()
    return f"write adapter.method: {method_name(word)}" if method_name(word) in METHODS else "write adapter.method"


def _attention(value: Any) -> str:
    return "write model.attn_implementation: flash_attention_2" if value is True else "write model.attn_implementation"


_QUANTIZED = "write model.quantization: nf4 (4 bits), int8 or torchao_int8"
_LENGTH = "write data.max_length"
_MODEL = "write model.name_or_path"
_PLACED = "leave it out; the trainer places the model"
_COLUMNS = "write data.columns, for example data.columns: {prompt: question, completion: answer}"
_BATCH = "write training.per_device_train_batch_size and training.gradient_accumulation_steps"
_TRACKER = "write training.report_to: wandb, and keep keys in the environment"

FOREIGN: Mapping[str, str | Callable[[Any], str]] = MappingProxyType(
    {
        "init_lora_weights": _start,
        "init_weights": _start,
        "finetuning_type": _method,
        "peft_type": _method,
        "use_dora": "write adapter.method: dora",
        "use_rslora": "write adapter.method: rslora",
        "pissa_init": "write adapter.method: pissa",
        "pissa_iter": "write adapter.svd: randomized and adapter.svd_iterations",
        "bias": "write adapter.method: bitfit to train biases; beside another adapter they stay frozen",
        "loraplus_lr_ratio": "write adapter.method: loraplus and adapter.loraplus_ratio",
        "target_r": "write adapter.method: adalora and adapter.r",
        "init_r": "write adapter.method: adalora and adapter.adalora_initial_rank",
        "corda_method": "write adapter.method: corda and adapter.corda_mode: ipm or kpm",
        "task_type": "write task: classification, regression or generation at the top of the recipe",
        "num_labels": "write data.labels, or leave it out: it follows from the data",
        "problem_type": "write task: classification or regression at the top of the recipe",
        "load_in_4bit": _QUANTIZED,
        "load_in_8bit": _QUANTIZED,
        "quantization_bit": _QUANTIZED,
        "quantization_config": _QUANTIZED,
        "bnb_4bit_quant_type": _QUANTIZED,
        "bnb_4bit_compute_dtype": "write model.quantization_compute_dtype",
        "bnb_4bit_use_double_quant": "write model.double_quantization",
        "bnb_4bit_quant_storage": "leave it out; packed weights are kept as uint8",
        "loftq_config": "write adapter.quantized_start: residual and adapter.quantized_start_iterations",
        "trust_remote_code": "balora runs no code from model folders; choose a model that transformers knows",
        "device_map": _PLACED,
        "low_cpu_mem_usage": _PLACED,
        "flash_attn": _attention,
        "flash_attention": _attention,
        "use_flash_attention_2": _attention,
        "base_model": _MODEL,
        "model_id": _MODEL,
        "pretrained_model_name_or_path": _MODEL,
        "max_seq_length": _LENGTH,
        "max_seq_len": _LENGTH,
        "model_max_length": _LENGTH,
        "max_len": _LENGTH,
        "sequence_length": _LENGTH,
        "data_path": "write data.train for a file, or data.dataset for a hub id",
        "data_files": "write data.train and data.validation",
        "train_file": "write data.train",
        "validation_file": "write data.validation",
        "datasets": "write data.train for a file, or data.dataset for a hub id",
        "task_name": "write data.preset for a GLUE task, or task at the top of the recipe",
        "val_set_size": "write data.validation: 0.05 to hold out that share",
        "test_size": "write data.validation: 0.05 to hold out that share",
        "dataset_text_field": "write data.columns: {text: <column>}",
        "dataset_field": _COLUMNS,
        "text_column": _COLUMNS,
        "label_column": _COLUMNS,
        "prompt_template": "write data.template",
        "chat_template": "write data.template: chat, or your own text with {column} placeholders",
        "train_on_inputs": "write data.learn_on: response or all",
        "completion_only_loss": "write data.learn_on: response",
        "packing": "packing is not available; leave it out",
        "sample_packing": "packing is not available; leave it out",
        "batch_size": _BATCH,
        "micro_batch_size": _BATCH,
        "train_batch_size": _BATCH,
        "gradient_accumulation": "write training.gradient_accumulation_steps",
        "lr": "write training.learning_rate",
        "epochs": "write training.num_train_epochs",
        "num_epochs": "write training.num_train_epochs",
        "scheduler": "write training.lr_scheduler_type",
        "lr_scheduler": "write training.lr_scheduler_type",
        "optimizer": "write training.optim",
        "warmup": "write training.warmup_steps (a share below 1, or a number of steps)",
        "precision": "write training.bf16: true",
        "mixed_precision": "write training.bf16: true",
        "wandb_project": _TRACKER,
        "use_wandb": _TRACKER,
        "resume": "run the same command with --resume",
    }
)
"""Key in any section -> the advice, or a function of the value that gives it."""


def foreign_advice(key: str, value: Any) -> str | None:
    """What to write instead of a setting of another tool, or None where it is not known.

    >>> foreign_advice("init_lora_weights", "pissa_niter_4")
    'write adapter.method: pissa, adapter.svd: randomized, adapter.svd_iterations: 4'
    """
    advice = FOREIGN.get(key)
    return advice(value) if callable(advice) else advice
