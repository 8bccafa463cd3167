"""The estimate of a recipe."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from safetensors import safe_open
from torch.utils.data import BatchSampler

from balora.errors import OutputError, ResourceError
from balora.recipe import Recipe
from balora.run import plan, plan_resources, train
from balora.run.parts import load_and_adapt, make_trainer, read_inputs, training_arguments_of
from balora.run.resources import Estimate, Machine, estimate
from balora.run.resources.estimate import HOST_LAUNCHES, batch_shapes, steps_per_epoch
from balora.run.resources.exhausted import smaller
from tests.run.test_training import recipe_for

MACHINE = Machine("CPU", 8 << 30, 1 << 20, 100 << 30, flops_per_s=1e9, bytes_per_s=1e9, launch_s=1e-6)


def estimated(recipe: Recipe, machine: Machine = MACHINE) -> Estimate:
    return estimate(recipe, read_inputs(recipe), training_arguments_of(recipe), machine)


@pytest.mark.parametrize("kind", ["classification", "regression", "generation", "seq2seq"])
@pytest.mark.parametrize(
    "training",
    [{"max_steps": 7}, {"max_steps": -1, "num_train_epochs": 3, "gradient_accumulation_steps": 2}],
    ids=["steps", "epochs"],
)
def test_steps_are_those_of_the_trainer(kind: str, training: dict[str, Any], tmp_path: Path) -> None:
    recipe = recipe_for(kind, tmp_path, training=training)
    inputs, arguments = read_inputs(recipe), training_arguments_of(recipe)
    trainer = make_trainer(recipe, inputs, load_and_adapt(recipe, inputs).model, arguments)
    trainer.train()
    assert estimated(recipe).steps == trainer.state.max_steps


UNEVEN = [
    {"num_train_epochs": 3, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 40},
    {"num_train_epochs": 3, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2},
    {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 3,
        "gradient_accumulation_steps": 4,
        "dataloader_drop_last": True,
    },
    {"num_train_epochs": 2.5, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3},
    {"max_steps": 7, "per_device_train_batch_size": 5, "gradient_accumulation_steps": 2},
]


@pytest.mark.parametrize("training", UNEVEN, ids=str)
def test_steps_and_checkpoints_of_uneven_epochs_are_those_of_the_trainer(
    training: dict[str, Any], tmp_path: Path
) -> None:
    several = {"max_steps": -1, "save_strategy": "epoch", "save_total_limit": None, **training}
    recipe = recipe_for("classification", tmp_path, training=several)
    planned = estimated(recipe)
    train(recipe, show_progress=False)
    state = max((tmp_path / "run").glob("checkpoint-*"), key=lambda each: int(each.name.split("-")[1]))
    assert planned.steps == int(state.name.split("-")[1])
    saved = len(list((tmp_path / "run").glob("checkpoint-*")))
    assert f"{saved} checkpoints" in planned.disk_bytes


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_of_several_processes_are_those_of_accelerate(world: int, drop_last: bool) -> None:
    for count in (7, 12, 13, 24, 29):
        batches = BatchSampler(range(count), 3, drop_last)
        shard = BatchSamplerShard(batches, world, 0)
        data: Any = SimpleNamespace(train=range(count))
        arguments: Any = SimpleNamespace(
            train_batch_size=3, world_size=world, dataloader_drop_last=drop_last, gradient_accumulation_steps=1
        )
        assert steps_per_epoch(data, arguments) == max(len(shard), 1)


@pytest.mark.parametrize("loss_path", ["auto", "explicit"])
def test_scoring_a_large_batch_counts_where_it_holds_more_than_training(loss_path: str, tmp_path: Path) -> None:
    def parts(rows: int) -> dict[str, int]:
        training = {"per_device_train_batch_size": 1, "per_device_eval_batch_size": rows}
        recipe = recipe_for("generation", tmp_path, training=training, regularizers={"loss_path": loss_path})
        return dict(estimated(recipe).memory_bytes)

    small, large = parts(1), parts(64)
    assert small["evaluation"] < large["evaluation"]
    assert {k: v for k, v in small.items() if k not in ("evaluation", "fragments", "program")} == {
        k: v for k, v in large.items() if k not in ("evaluation", "fragments", "program")
    }


def test_a_run_that_is_there_is_planned_with_a_remark(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path)
    assert plan_resources(recipe).remarks == ()
    train(recipe, show_progress=False)
    before = sorted((tmp_path / "run").rglob("*"))
    found = plan_resources(recipe)
    assert "already holds a run: --resume goes on" in found.warnings[0]
    assert "in use" in plan(recipe).text
    assert sorted((tmp_path / "run").rglob("*")) == before
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(OutputError, match="already holds files"):
        plan_resources(recipe)


def test_an_operation_in_python_takes_longer_than_a_bare_one(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path)
    endless = replace(MACHINE, flops_per_s=1e30, bytes_per_s=1e30)
    found = estimated(recipe, endless).step_s
    assert found == pytest.approx(
        HOST_LAUNCHES * estimated(recipe, replace(endless, launch_s=1e-6 / HOST_LAUNCHES)).step_s
    )
    assert found > 1e-6 * 100


def test_weights_are_reckoned_without_reading_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_for("generation", tmp_path)
    weights = tmp_path / "base" / "model.safetensors"
    with safe_open(weights, "pt") as file:
        stored = sum(file.get_tensor(name).nbytes for name in list(file.keys()))
    monkeypatch.setattr("balora.run.parts.load_model", None)
    monkeypatch.setattr("safetensors.torch.load_file", None)
    found = plan_resources(recipe)
    assert found.memory_bytes["weights"] == pytest.approx(stored, rel=0.02)  # positions are not stored


def test_the_largest_batch_is_that_of_the_longest_rows(tmp_path: Path) -> None:
    recipe = recipe_for("generation", tmp_path)
    inputs, arguments = read_inputs(recipe), training_arguments_of(recipe)
    shape, mean = batch_shapes(inputs.data, arguments)
    assert shape.tokens == max(len(ids) for ids in inputs.data.train["input_ids"])
    assert shape.rows == 4
    assert 0 < mean <= shape.positions


def test_full_fine_tuning_needs_a_copy_for_its_teacher_only_with_consistency(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path, adapter={"method": "full"})
    parts = estimated(recipe).memory_bytes
    without = estimated(recipe.model_copy(update={"regularizers": type(recipe.regularizers).off("nlu")})).memory_bytes
    assert parts["teacher's copy"] == parts["weights"]
    assert without["teacher's copy"] == 0
    assert parts["optimizer"] == 2 * parts["gradients"]


def test_explicit_logits_grow_with_the_vocabulary_and_the_fused_loss_does_not(tmp_path: Path) -> None:
    recipe = recipe_for("generation", tmp_path)
    explicit = recipe_for("generation", tmp_path, regularizers={"loss_path": "explicit"})
    assert "logits" in estimated(explicit).memory_bytes
    assert "logits" not in estimated(recipe).memory_bytes
    assert "loss" in estimated(recipe).memory_bytes


def test_what_does_not_fit_is_said_with_numbers_and_a_way_out(tmp_path: Path) -> None:
    recipe = recipe_for("generation", tmp_path)
    assert not estimated(recipe).warnings
    small = replace(MACHINE, free_memory_bytes=1000, held_bytes=0, free_disk_bytes=1000)
    memory, disk = estimated(recipe, small).warnings
    assert "needs about" in memory
    assert "which has 0 MiB" in memory
    assert "output.dir" in disk


def test_a_run_writes_no_more_than_was_said(tmp_path: Path) -> None:
    training = {"max_steps": 6, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 2}
    recipe = recipe_for("classification", tmp_path, training=training)
    said = estimated(recipe).disk_total_bytes
    train(recipe, show_progress=False)
    written = sum(file.stat().st_size for file in (tmp_path / "run").rglob("*") if file.is_file())
    assert written <= said


def test_dry_runs_and_plans_agree(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path)
    planned, reckoned = plan(recipe).resources, plan_resources(recipe)
    apart = {"program"}
    assert {k: v for k, v in planned.memory_bytes.items() if k not in apart} == {
        k: v for k, v in reckoned.memory_bytes.items() if k not in apart
    }
    assert "memory: about" in plan(recipe).text


def test_running_out_of_memory_says_what_is_needed_and_keeps_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for("classification", tmp_path)

    held = []

    def exhausted(*unused: object, **unused_too: object) -> None:
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    def reckoned(*given: Any) -> Estimate:
        assert held[0]() is None, "the failed step still holds its tensors"
        return estimate(*given)

    monkeypatch.setattr("balora.training.BALoraTrainer.training_step", exhausted)
    monkeypatch.setattr("balora.run.resources.exhausted.estimate", reckoned)
    with pytest.raises(ResourceError, match=r"Tried to allocate.*needs .* MiB.*per_device_train_batch_size=2 "):
        train(recipe, show_progress=False)
    record = (tmp_path / "run" / "run.json").read_text()
    assert '"failed"' in record
    assert "beside the program itself this run needs" in record


def test_where_reckoning_fails_too_a_rough_bound_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*unused: object, **unused_too: object) -> None:
        raise MemoryError

    monkeypatch.setattr("balora.training.BALoraTrainer.training_step", exhausted)
    monkeypatch.setattr("balora.run.resources.exhausted.estimate", exhausted)
    with pytest.raises(ResourceError, match=r"at most about \d+ MiB, by a rough bound; try "):
        train(recipe_for("generation", tmp_path), show_progress=False)


def test_the_smaller_setting_keeps_the_rows_of_a_step(tmp_path: Path) -> None:
    arguments = training_arguments_of(
        recipe_for(
            "classification",
            tmp_path,
            training={"per_device_train_batch_size": 6, "gradient_accumulation_steps": 3},
        )
    )
    assert "per_device_train_batch_size=3 training.gradient_accumulation_steps=6" in smaller(arguments)
