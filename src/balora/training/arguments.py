"""The recipe section `training`: `transformers.TrainingArguments` under its own names, checked before anything loads.

Names that transformers 5 dropped or renamed are accepted and explained. What the user leaves out takes balora's own
defaults where those differ from transformers' (`BALORA_DEFAULTS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import TrainingArguments
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)

from balora.errors import InputError, Problem, did_you_mean
from balora.training.argument_fields import (
    RefusedError,
    argument_defaults,
    argument_types,
    checked_value,
    shown,
)
from balora.training.renamed_arguments import CANNOT_BE, DROPPED, NOT_IN_A_RECIPE, RENAMED, UNUSED_FLAGS, Renaming

BALORA_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "logging_steps": 10,
        "report_to": "none",
        "logging_nan_inf_filter": False,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "remove_unused_columns": False,
        "disable_tqdm": True,
    }
)
"""What balora sets where the recipe is silent; everything else keeps transformers' default."""

FOLLOWS_STEPS = MappingProxyType(
    {"eval_steps": "eval_strategy", "save_steps": "save_strategy", "logging_steps": "logging_strategy"}
)
"""An interval -> the strategy that it is an interval of."""


@dataclass(frozen=True, slots=True)
class ResolvedTraining:
    """Checked training arguments under the names of the installed transformers."""

    values: Mapping[str, Any]
    """Field of TrainingArguments -> value; only what the recipe sets."""
    notes: tuple[str, ...] = ()
    """What the user should know: renamed and ignored settings, and what follows from others."""


def resolve_training_arguments(training: Mapping[str, Any]) -> ResolvedTraining:
    """Check the section `training` against the installed transformers, value by value.

    Raises:
        InputError: with every problem at once; `Problem.where` is `training.<key as written>`.

    >>> resolve_training_arguments({"learning_rate": "2e-5", "warmup_ratio": 0.03}).values
    mappingproxy({'learning_rate': 2e-05, 'warmup_steps': 0.03})
    """
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    for key, given in training.items():
        where = f"training.{key}"
        try:
            name, value, note = _current(str(key), given)
            if name in written:
                raise RefusedError(f"'{written[name]}' already sets {name}", "keep one of the two")
            if name:
                written[name] = str(key)
                values[name] = checked_value(name, value)
            notes += [note] if note else []
        except RefusedError as refusal:
            problems.append(Problem(where, refusal.what, refusal.fix))
    problems += _contradictions(values, written)
    if problems:
        raise InputError(problems)
    notes += _follow_intervals(values)
    return ResolvedTraining(MappingProxyType(values), tuple(notes))


def build_training_arguments(
    resolved: ResolvedTraining,
    *,
    output_dir: Path,
    has_validation: bool,
    eval_batch_size: int | None = None,
) -> TrainingArguments:
    """The arguments of one run on this machine.

    Args:
        resolved: what `resolve_training_arguments` returned.
        output_dir: where checkpoints go.
        has_validation: whether there is a validation split; without it nothing is evaluated while training.
        eval_batch_size: rows per device when evaluating; left out, the recipe's own, else twice the training batch.

    Raises:
        InputError: when a setting needs a validation split or a device that is not there, or when transformers
            refuses the combination.
    """
    given = dict(resolved.values)
    _require_validation(given, has_validation)
    _require_trackers(given)
    values = {**BALORA_DEFAULTS, "eval_strategy": "epoch" if has_validation else "no", **given}
    if "per_device_eval_batch_size" not in given:
        train_batch = values.get("per_device_train_batch_size", argument_defaults()["per_device_train_batch_size"])
        values["per_device_eval_batch_size"] = eval_batch_size or 2 * train_batch
    if values.get("load_best_model_at_end") and "save_strategy" not in given:
        values["save_strategy"] = values["eval_strategy"]
        values |= {"save_steps": values["eval_steps"]} if "eval_steps" in values else {}
    accelerator = torch.accelerator.is_available() and not values.get("use_cpu", False)
    if not accelerator:
        if values.get("fp16") or values.get("fp16_full_eval"):
            raise InputError.at("training.fp16", "16-bit floats need a GPU, and there is none", "use bf16: true")
        values["use_cpu"] = True
        values.setdefault("dataloader_pin_memory", False)
    try:
        return TrainingArguments(output_dir=str(output_dir), **values)
    except Exception as error:  # nothing but these settings is at work here
        unset_hf_deepspeed_config()  # a half-made one would be found by whatever loads a model next
        raise InputError.at("training", " ".join(str(error).split()), "change or remove that setting") from error


def argument_names() -> frozenset[str]:
    """Every key that the section `training` accepts, old names included."""
    return frozenset(argument_types()) - frozenset(NOT_IN_A_RECIPE) | frozenset(RENAMED) | frozenset(DROPPED)


def _current(key: str, value: Any) -> tuple[str, Any, str]:
    """The installed name, the value under it, and a note; an empty name means that the setting has no effect."""
    installed = argument_types()
    if key in NOT_IN_A_RECIPE:
        raise RefusedError("cannot be set here", NOT_IN_A_RECIPE[key])
    refused, why, instead = CANNOT_BE.get(key, (None, "", ""))
    if refused is not None and value is refused:
        raise RefusedError(f"cannot be {shown(refused)}: {why}", f"remove it; {instead}")
    if key == "debug" and value:
        raise RefusedError(f"is {shown(value)}, which balora does not support", "remove it; every step is checked")
    if key in UNUSED_FLAGS:
        return "", value, f"training.{key}: has no effect; {UNUSED_FLAGS[key]}"
    renaming = RENAMED.get(key)
    if renaming is not None and renaming.name in installed and (renaming.always or key not in installed):
        return _renamed(key, value, renaming)
    if key in DROPPED:
        return "", value, f"training.{key}: ignored; {DROPPED[key]}"
    if key not in installed:
        raise RefusedError(f"unknown key (value {shown(value)})", did_you_mean(key, argument_names()))
    return key, value, ""


def _renamed(key: str, value: Any, renaming: Renaming) -> tuple[str, Any, str]:
    if value is None:
        return "", None, ""
    try:
        translated = renaming.translate(value) if renaming.translate else value
    except ValueError as error:
        raise RefusedError(str(error), f"the setting is called {renaming.name} today") from None
    note = "" if renaming.silent else f"training.{key}: read as {renaming.name}: {shown(translated)}, today's name"
    return renaming.name, translated, note


def _contradictions(values: Mapping[str, Any], written: Mapping[str, str]) -> Iterator[Problem]:
    for one, other in (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval")):
        if values.get(one) and values.get(other):
            yield Problem(f"training.{written[one]}", f"{one} and {other} are both true", "keep one of them")
    workers = values.get("dataloader_num_workers", "unusable" if "dataloader_num_workers" in written else 0)
    if values.get("dataloader_prefetch_factor") is not None and workers == 0:
        where = f"training.{written['dataloader_prefetch_factor']}"
        yield Problem(where, "needs worker processes", "set dataloader_num_workers to 1 or more, or remove it")
    for name in _trackers(values):
        if name not in INTEGRATION_TO_CALLBACK:
            yield Problem("training.report_to", f"is {shown(name)}", did_you_mean(name, INTEGRATION_TO_CALLBACK))
    for name, asks in (("save_strategy", "best"), ("load_best_model_at_end", True)):
        if values.get(name) == asks and values.get("eval_strategy") == "no":
            what = f"is {shown(asks)}, but eval_strategy 'no' means that nothing is ever scored"
            yield Problem(f"training.{written[name]}", what, "set eval_strategy to epoch or steps")
    for name in FOLLOWS_STEPS:
        interval = values.get(name)
        if interval is not None and interval > 1 and not float(interval).is_integer():
            what = f"is {shown(interval)}; expected a whole number of steps, or a share of all steps below 1"
            yield Problem(f"training.{written[name]}", what)


def _follow_intervals(values: dict[str, Any]) -> Iterator[str]:
    """An interval alone means that its strategy is `steps`, as in transformers; with another strategy it is idle."""
    if values.get("max_steps", -1) > 0 and "num_train_epochs" in values:
        yield f"training.num_train_epochs: not used, because max_steps {values['max_steps']} ends the run"
    for interval, strategy in FOLLOWS_STEPS.items():
        if values.get(interval) is None:
            continue
        if values.get(strategy, "steps") != "steps":
            yield f"training.{interval}: not used, because {strategy} is '{values[strategy]}'"
        elif strategy not in values:
            values[strategy] = "steps"


def _trackers(values: Mapping[str, Any]) -> list[str]:
    """The experiment trackers asked for by name."""
    asked = values.get("report_to") or []
    names = [asked] if isinstance(asked, str) else asked
    return [name for name in names if name not in {"all", "none"}]


def _require_trackers(values: Mapping[str, Any]) -> None:
    installed = get_available_reporting_integrations()
    missing = [name for name in _trackers(values) if name not in installed]
    if missing:
        fix = "install it, or remove the setting"
        raise InputError(Problem("training.report_to", f"{name} is not installed", fix) for name in missing)


def _require_validation(given: Mapping[str, Any], has_validation: bool) -> None:
    if has_validation:
        return
    wishes: dict[str, Callable[[Any], bool]] = {
        "eval_strategy": lambda value: value != "no",
        "load_best_model_at_end": bool,
        "eval_on_start": bool,
        "save_strategy": lambda value: value == "best",
        "lr_scheduler_type": lambda value: value == "reduce_lr_on_plateau",
    }
    problems = [
        Problem(f"training.{name}", f"is {shown(given[name])}, but there is no validation split", "set data.validation")
        for name, asks in wishes.items()
        if name in given and asks(given[name])
    ]
    if problems:
        raise InputError(problems)
