"""The typed recipe as Python builds it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balora.adapters.registry import METHODS
from balora.data.presets import preset_names
from balora.data.settings import DataSettings
from balora.errors import InputError, RecipeError
from balora.losses.settings import PAPER_DEFAULTS
from balora.recipe.dump import dump_recipe
from balora.recipe.load import parse_recipe
from balora.recipe.schema import FORM_OF_TASK, Recipe, implied_task, tasks_of_preset
from balora.training.config import BALoraConfig

MODEL = {"name_or_path": "m"}


def recipe(**changes) -> Recipe:
    return Recipe(**{"model": MODEL, "data": {"train": "t.csv"}, "task": "generation", **changes})


@pytest.mark.parametrize(
    ("data", "task"),
    [
        ({"preset": "stsb"}, "regression"),
        ({"preset": "CoLA"}, "classification"),
        ({"preset": "mnli"}, "classification"),
        ({"preset": "sick"}, None),
        ({"format": "messages", "train": "t"}, "generation"),
        ({"format": "alpaca", "train": "t"}, "generation"),
        ({"format": "sentence", "train": "t"}, None),
        ({"columns": {"prompt": "q", "completion": "a"}, "train": "t"}, "generation"),
        ({"columns": {"text": 0, "score": 1}, "train": "t"}, "regression"),
        ({"columns": {"text": 0, "label": 1}, "train": "t"}, "classification"),
        ({"train": "t.csv"}, None),
        ("not a mapping", None),
    ],
)
def test_the_task_that_the_data_imply(data: object, task: str | None) -> None:
    assert implied_task(data) == task
    if task is not None:
        assert Recipe(model=MODEL, data=data).task == task
        assert Recipe(model=MODEL, data=DataSettings.model_validate(data)).task == task


def test_every_preset_has_a_task() -> None:
    assert all(tasks_of_preset(name) for name in preset_names())
    assert tasks_of_preset("colaa") == []


def test_a_task_that_nothing_implies_is_required() -> None:
    with pytest.raises(ValidationError, match="task"):
        Recipe(model=MODEL, data={"train": "t.csv"})


@pytest.mark.parametrize("task", list(FORM_OF_TASK))
def test_the_form_and_the_weights_follow_the_task(task) -> None:
    built = recipe(task=task)
    assert built.regularizers.form == FORM_OF_TASK[task]
    paper = PAPER_DEFAULTS[FORM_OF_TASK[task], "2026"]
    assert built.regularizers.consistency_weight == paper["consistency_weight"]
    assert recipe(task=task, regularizers="paper") == built


def test_no_regularizers_is_a_word() -> None:
    assert not recipe(regularizers="none").regularizers.active
    assert recipe(regularizers="none").regularizers.form == "nlg"
    with pytest.raises(ValidationError, match="regularizers"):
        recipe(regularizers="some")


def test_a_form_against_the_task_is_refused() -> None:
    assert recipe(regularizers={"form": "nlg"}).regularizers.form == "nlg"
    for wrong in ({"form": "nlu"}, BALoraConfig.nlu()):
        with pytest.raises(ValidationError, match="form is 'nlu', but task generation uses 'nlg'"):
            recipe(regularizers=wrong)


@pytest.mark.parametrize(("name", "value"), [("teacher_head", "linear_probe")])
def test_teachers_that_cannot_generate_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} is '{value}', which is for classification and regression"):
        recipe(task="generation", regularizers={name: value})
    assert getattr(recipe(task="classification", regularizers={name: value}).regularizers, name) == value


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_no_generator_takes(seed: int) -> None:
    with pytest.raises(ValidationError, match="expected a whole number from 0 to 4294967295"):
        recipe(adapter={"seed": seed})


def test_a_preset_of_another_task_is_refused() -> None:
    with pytest.raises(ValidationError, match="'cola' is a classification task"):
        recipe(task="regression", data={"preset": "cola"})


def test_methods_and_metrics_are_checked_by_the_rooms_that_know_them() -> None:
    with pytest.raises(ValidationError, match="did you mean 'pissa'"):
        recipe(adapter={"method": "pisa"})
    with pytest.raises(ValidationError, match="metrics: no metric 'accuracy' for task regression"):
        recipe(task="regression", evaluation={"metrics": ["accuracy"]})
    assert recipe(task="classification", evaluation={"metrics": ["accuracy"]}).evaluation.metrics == ["accuracy"]


def test_training_arguments_are_checked_and_kept_as_written() -> None:
    training = recipe(training={"warmup_ratio": 0.03}).training
    assert training["warmup_ratio"] == 0.03
    assert "warmup_steps" not in training, "a default must not fight the older name of the same setting"
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        recipe(training={"lerning_rate": 1})


def test_two_evaluation_batches_must_agree() -> None:
    recipe(evaluation={"batch_size": 4}, training={"per_device_eval_batch_size": 4})
    with pytest.raises(ValidationError, match="keep one of them"):
        recipe(evaluation={"batch_size": 4}, training={"per_device_eval_batch_size": 8})


def test_unknown_sections_are_refused() -> None:
    with pytest.raises(ValidationError, match="trainin"):
        recipe(trainin={})


@pytest.mark.parametrize("method", METHODS)
def test_a_method_s_name_alone_is_a_recipe(method: str) -> None:
    values = {"task": "classification", "model": {"name_or_path": "m"}, "data": {"train": "t.csv"}}
    recipe = Recipe.model_validate({**values, "adapter": {"method": method}})
    assert recipe.adapter.method == method
    assert parse_recipe(dump_recipe(recipe)) == recipe


def test_a_calibration_sample_is_set_by_override_and_its_typos_are_named() -> None:
    text = "model: {name_or_path: m}\ndata: {train: t.csv}\ntask: classification\nadapter: {method: LoRA-GA}"
    recipe = parse_recipe(text, overrides=["adapter.calibration.samples=8", "adapter.lora_ga_gamma=4"])
    assert (recipe.adapter.method, recipe.adapter.calibration.samples) == ("lora_ga", 8)
    with pytest.raises(RecipeError, match=r"calibration\.sampels.*unknown key \(value 8\); did you mean 'samples'"):
        parse_recipe(text, overrides=["adapter.calibration.sampels=8"])
    with pytest.raises(RecipeError, match=r"recipe\.yaml:5 adapter\.calibration\.samples: is 0; expected"):
        parse_recipe(text.replace("adapter: {method: LoRA-GA}", "adapter:\n  calibration: {samples: 0}"))
    with pytest.raises(RecipeError, match=r"calibration\.text names none; set adapter\.calibration\.text"):
        parse_recipe(text.replace("LoRA-GA", "corda, corda_mode: kpm"))
