"""The section `training` against the installed transformers."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import pytest
import torch
import transformers

from balora.errors import InputError
from balora.training.argument_fields import argument_choices, argument_defaults, argument_types, checked_value, shown
from balora.training.arguments import (
    BALORA_DEFAULTS,
    argument_names,
    build_training_arguments,
    resolve_training_arguments,
)
from balora.training.renamed_arguments import DROPPED, NOT_IN_A_RECIPE, RENAMED

INSTALLED = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}


def problems(training: dict) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        resolve_training_arguments(training)
    return {problem.where: f"{problem.what}; {problem.fix}" for problem in caught.value.problems}


def build(training: dict, tmp_path: Path, *, has_validation: bool = False, eval_batch_size: int | None = None):
    resolved = resolve_training_arguments(training)
    return build_training_arguments(
        resolved, output_dir=tmp_path, has_validation=has_validation, eval_batch_size=eval_batch_size
    )


def test_every_default_of_transformers_is_accepted() -> None:
    own_rules = {"remove_unused_columns", "do_train", "do_eval", "do_predict"}
    for name in (argument_names() & INSTALLED) - own_rules:
        default = argument_defaults()[name]
        values = list(resolve_training_arguments({name: default}).values.values())
        assert values[:1] == [default] or (default is None and not values), name


def test_values_take_the_type_of_their_field() -> None:
    values = resolve_training_arguments(
        {"learning_rate": "2e-5", "bf16": "yes", "seed": 7, "optim": "adamw_torch"}
    ).values
    assert values == {"learning_rate": 2e-5, "bf16": True, "seed": 7, "optim": "adamw_torch"}


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"learning_rate": True}, "is true; expected a number"),
        ({"learning_rate": "fast"}, "is 'fast'; expected a number"),
        ({"learning_rate": -1.0}, "expected a value greater than or equal to 0"),
        ({"max_grad_norm": float("nan")}, "expected a finite number"),
        ({"seed": 1.5}, "is 1.5; expected a whole number"),
        ({"bf16": "perhaps"}, "expected true or false"),
        ({"per_device_train_batch_size": 0}, "expected a value greater than or equal to 1"),
        ({"num_train_epochs": 0}, "expected a value greater than 0"),
        ({"lr_scheduler_type": "cosinus"}, "did you mean 'cosine'?"),
        ({"optim": "adamw"}, "adamw_torch"),
        ({"eval_strategy": "epochs"}, "did you mean 'epoch'?"),
        ({"lr_scheduler_kwargs": [1]}, "expected a mapping (key: value) or text"),
        ({"report_to": "wndb"}, "did you mean 'wandb'?"),
        ({"save_steps": 2.5}, "a whole number of steps, or a share"),
        ({"lerning_rate": 1e-4}, "unknown key (value 0.0001); did you mean 'learning_rate'?"),
        ({"output_dir": "x"}, "use output.dir"),
        ({"hub_token": "x"}, "HF_TOKEN"),
        ({"resume_from_checkpoint": "x"}, "--resume"),
        ({"remove_unused_columns": True}, "balora picks the columns"),
        ({"warmup_ratio": 1.5}, "from 0 to below 1"),
        ({"group_by_length": "sometimes"}, "expected true or false"),
        ({"dataloader_prefetch_factor": 2}, "needs worker processes"),
        ({"push_to_hub": True}, "balora uploads nothing"),
        ({"batch_eval_metrics": True}, "cannot be true"),
        ({"eval_do_concat_batches": False}, "cannot be false"),
        ({"debug": "underflow_overflow"}, "does not support"),
        ({"seed": 2**32}, "less than or equal to 4294967295"),
        ({"data_seed": 2**32}, "less than or equal to 4294967295"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(training: dict, said: str) -> None:
    found = problems(training)
    assert list(found) == [f"training.{key}" for key in training]
    assert said in "".join(found.values())


def test_all_problems_come_at_once() -> None:
    assert len(problems({"seed": "x", "bf16": 3, "optm": 1, "num_train_epochs": -1})) == 4


@pytest.mark.parametrize(
    "wish", [{"load_best_model_at_end": True}, {"save_strategy": "best", "metric_for_best_model": "loss"}]
)
def test_the_best_model_needs_evaluations(wish: dict) -> None:
    assert "set eval_strategy" in str(problems({**wish, "eval_strategy": "no"}))


def test_a_secret_is_never_repeated() -> None:
    assert "s3cret" not in str(problems({"hub_token": "s3cret"}))


def test_contradictions_are_problems() -> None:
    assert "both true" in str(problems({"fp16": True, "bf16": True}))
    found = problems({"warmup_ratio": 0.1, "warmup_steps": 100})
    assert "'warmup_ratio' already sets warmup_steps" in found["training.warmup_steps"]


@pytest.mark.parametrize(
    ("old", "value", "new", "meaning"),
    [
        ("warmup_ratio", 0.03, "warmup_steps", 0.03),
        ("evaluation_strategy", "epoch", "eval_strategy", "epoch"),
        ("group_by_length", True, "train_sampling_strategy", "group_by_length"),
        ("group_by_length", False, "train_sampling_strategy", "random"),
        ("no_cuda", True, "use_cpu", True),
        ("per_gpu_train_batch_size", 4, "per_device_train_batch_size", 4),
        ("adafactor", True, "optim", "adafactor"),
        ("include_inputs_for_metrics", True, "include_for_metrics", ["inputs"]),
    ],
)
def test_older_names_are_read_and_explained(old: str, value: object, new: str, meaning: object) -> None:
    resolved = resolve_training_arguments({old: value})
    assert resolved.values == {new: meaning}
    assert [note for note in resolved.notes if old in note and new in note]


@pytest.mark.parametrize("old", sorted(DROPPED))
def test_dropped_names_are_ignored_with_a_note(old: str) -> None:
    resolved = resolve_training_arguments({old: True})
    assert not resolved.values
    assert len(resolved.notes) == 1


def test_gradient_checkpointing_goes_by_the_installed_name(tmp_path: Path) -> None:
    current = "activation_checkpointing" if "activation_checkpointing" in INSTALLED else "gradient_checkpointing"
    for name in ("gradient_checkpointing", "activation_checkpointing"):
        resolved = resolve_training_arguments({name: True})
        assert resolved.values == {current: True}
        assert resolved.notes == ()
        assert build({name: True}, tmp_path).gradient_checkpointing is True


def test_the_tables_agree_with_the_installed_transformers() -> None:
    for old, renaming in RENAMED.items():
        assert old not in INSTALLED or renaming.silent or old in {"warmup_ratio"}, f"{old} is a field again"
        assert renaming.name in INSTALLED or renaming.name.startswith("activation_checkpointing")
    gone = set(DROPPED) - {"logging_dir"}
    assert not gone & INSTALLED
    assert not set(NOT_IN_A_RECIPE) & argument_names()


def test_an_interval_alone_means_steps_and_an_idle_one_is_said() -> None:
    assert resolve_training_arguments({"save_steps": 50}).values["save_strategy"] == "steps"
    idle = resolve_training_arguments({"eval_steps": 50, "eval_strategy": "epoch"})
    assert idle.values["eval_strategy"] == "epoch"
    assert "eval_steps: not used" in idle.notes[0]
    both = resolve_training_arguments({"max_steps": 5, "num_train_epochs": 3})
    assert "num_train_epochs: not used" in both.notes[0]


def test_silence_takes_the_defaults_of_balora(tmp_path: Path) -> None:
    arguments = build({}, tmp_path)
    for name, value in BALORA_DEFAULTS.items():
        built = getattr(arguments, name)
        assert built == value or (name == "report_to" and built == [])
    assert arguments.eval_strategy == "no"
    assert arguments.output_dir == str(tmp_path)


def test_validation_is_evaluated_every_epoch_unless_said_otherwise(tmp_path: Path) -> None:
    assert build({}, tmp_path, has_validation=True).eval_strategy == "epoch"
    assert build({"eval_strategy": "no"}, tmp_path, has_validation=True).eval_strategy == "no"
    assert build({"seed": 7, "save_strategy": "no"}, tmp_path).seed == 7


def test_the_evaluation_batch(tmp_path: Path) -> None:
    assert build({"per_device_train_batch_size": 4}, tmp_path).per_device_eval_batch_size == 8
    assert build({}, tmp_path, eval_batch_size=3).per_device_eval_batch_size == 3
    assert build({"per_device_eval_batch_size": 5}, tmp_path, eval_batch_size=3).per_device_eval_batch_size == 5


def test_the_best_model_needs_matching_strategies_and_gets_them(tmp_path: Path) -> None:
    arguments = build({"load_best_model_at_end": True, "eval_steps": 5}, tmp_path, has_validation=True)
    assert (arguments.save_strategy, arguments.save_steps, arguments.eval_steps) == ("steps", 5, 5)


@pytest.mark.parametrize(
    "wish",
    [
        {"eval_strategy": "epoch"},
        {"load_best_model_at_end": True},
        {"eval_on_start": True},
        {"save_strategy": "best", "metric_for_best_model": "loss"},
        {"lr_scheduler_type": "reduce_lr_on_plateau"},
    ],
)
def test_evaluation_without_validation_data_is_refused(wish: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no validation split; set data\.validation"):
        build(wish, tmp_path)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="has an accelerator")
def test_on_a_cpu_bf16_runs_and_fp16_is_refused(tmp_path: Path) -> None:
    assert build({"bf16": True}, tmp_path).bf16 is True
    with pytest.raises(InputError, match=r"need a GPU.*bf16: true"):
        build({"fp16": True}, tmp_path)


def test_a_tracker_that_is_not_installed_is_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balora.training.arguments.get_available_reporting_integrations", list)
    with pytest.raises(InputError, match="tensorboard is not installed"):
        build({"report_to": ["tensorboard"]}, tmp_path)


def test_what_transformers_refuses_is_the_users_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^training: "):
        build({"accelerator_config": {"foo": 1}}, tmp_path)


def test_deepspeed_that_cannot_be_used_is_one_problem_and_leaves_no_trace(tmp_path: Path) -> None:
    from transformers.integrations import deepspeed

    with pytest.raises(InputError) as caught:
        build({"deepspeed": str(tmp_path / "no.json")}, tmp_path)
    # What transformers raises refers to the half-made configuration, and so keeps it alive.
    assert caught.value.__cause__ is not None
    assert deepspeed.deepspeed_config() is None
    assert not deepspeed.is_deepspeed_zero3_enabled()


def test_choices_are_those_of_the_enumeration() -> None:
    assert set(argument_choices("eval_strategy")) == {"no", "steps", "epoch"}
    assert argument_choices("learning_rate") == []
    assert checked_value("eval_strategy", transformers.trainer_utils.IntervalStrategy.EPOCH) == "epoch"
    assert typing.get_type_hints(transformers.TrainingArguments)["seed"] is argument_types()["seed"]


def test_values_are_shown_as_in_a_recipe() -> None:
    assert shown(False) == "false"
    assert shown(None) == "null"
    assert len(shown("x" * 500)) == 60
