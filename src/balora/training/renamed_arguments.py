"""Training argument names from older transformers and from habit: what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Renaming:
    """What an older name is called in the installed transformers."""

    name: str
    """The current field."""
    translate: Callable[[Any], Any] | None = None
    """Turns the old value into the new one, where the two differ; raises ValueError."""
    always: bool = True
    """False where the old name stays in use on a transformers that still has it."""
    silent: bool = False
    """True where both names are in everyday use and a note would only distract."""


def _share_of_steps(value: Any) -> Any:
    if isinstance(value, str):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"is {value!r}; expected a share of all steps, from 0 to below 1")
    return value


def _sampling_strategy(value: Any) -> str:
    return "group_by_length" if _is_true(value) else "random"


def _optimizer(value: Any) -> str:
    return "adafactor" if _is_true(value) else "adamw_torch"


def _metric_inputs(value: Any) -> list[str]:
    return ["inputs"] if _is_true(value) else []


def _is_true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {value!r}; expected true or false")
    return value


RENAMED: Mapping[str, Renaming] = MappingProxyType(
    {
        "warmup_ratio": Renaming("warmup_steps", _share_of_steps),
        "evaluation_strategy": Renaming("eval_strategy"),
        "group_by_length": Renaming("train_sampling_strategy", _sampling_strategy),
        "no_cuda": Renaming("use_cpu"),
        "per_gpu_train_batch_size": Renaming("per_device_train_batch_size"),
        "per_gpu_eval_batch_size": Renaming("per_device_eval_batch_size"),
        "adafactor": Renaming("optim", _optimizer),
        "include_inputs_for_metrics": Renaming("include_for_metrics", _metric_inputs),
        "push_to_hub_model_id": Renaming("hub_model_id"),
        "gradient_checkpointing": Renaming("activation_checkpointing", silent=True),
        "gradient_checkpointing_kwargs": Renaming("activation_checkpointing_kwargs", silent=True),
        "activation_checkpointing": Renaming("gradient_checkpointing", always=False, silent=True),
        "activation_checkpointing_kwargs": Renaming("gradient_checkpointing_kwargs", always=False, silent=True),
    }
)
"""Old or other name -> the current one; used only where the installed transformers has the current one."""

_GONE = "transformers 5 dropped it"

DROPPED: Mapping[str, str] = MappingProxyType(
    {
        "overwrite_output_dir": "balora never overwrites a run; use a new output.dir, or --resume",
        "save_safetensors": "safetensors is the only format",
        "logging_dir": "set the environment variable TENSORBOARD_LOGGING_DIR",
        **dict.fromkeys(
            [
                "bf16_opt_level",
                "dispatch_batches",
                "eval_use_legacy_loop",
                "fp16_backend",
                "fp16_opt_level",
                "fsdp_min_num_params",
                "fsdp_transformer_layer_cls_to_wrap",
                "half_precision_backend",
                "include_tokens_per_second",
                "jit_mode_eval",
                "mp_parameters",
                "past_index",
                "ray_scope",
                "sharded_ddp",
                "split_batches",
                "torchdynamo",
                "tpu_metrics_debug",
                "tpu_num_cores",
                "use_ipex",
                "use_legacy_prediction_loop",
                "use_mps_device",
                "xpu_backend",
            ],
            _GONE,
        ),
    }
)
"""A name without a successor -> why it is ignored."""

NOT_IN_A_RECIPE: Mapping[str, str] = MappingProxyType(
    {
        "output_dir": "use output.dir",
        "hub_token": "never write a token into a recipe; set HF_TOKEN in the environment",
        "push_to_hub_token": "never write a token into a recipe; set HF_TOKEN in the environment",
        "resume_from_checkpoint": "run the same command with --resume",
        "local_rank": "the launcher (torchrun, accelerate launch) sets it",
        "parallelism_config": "it cannot be written as YAML",
        "predict_with_generate": "it belongs to Seq2SeqTrainingArguments, which balora does not use",
    }
)
"""A name that must not stand in the section `training` -> what to do instead."""

CANNOT_BE: Mapping[str, tuple[Any, str, str]] = MappingProxyType(
    {
        "remove_unused_columns": (True, "would drop columns that the objective needs", "balora picks the columns"),
        "push_to_hub": (True, "balora uploads nothing", "upload the finished run folder with `hf upload`"),
        "batch_eval_metrics": (True, "scores are computed over the whole split at once", "for memory, lower the batch"),
        "eval_do_concat_batches": (False, "scores are computed over the whole split at once", "it has to be true"),
    }
)
"""A setting -> the value it cannot have, why, and what to know instead."""

UNUSED_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "do_train": "`balora train` always trains",
        "do_eval": "eval_strategy decides when to evaluate",
        "do_predict": "`balora train` only trains and evaluates",
    }
)
"""A flag that transformers leaves to scripts -> what decides in balora."""
