"""Changes from the command line: the same keys as a profile's, told where they are wrong, written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from balora.errors import RecipeError
from balora.study import StudyResults, load_results, parse_study, run_study
from tests.study.conftest import MakeStudy, planner

TUNED = "tune: {keys: {training.learning_rate: [1e-4, 3e-4]}, split: 0.25}\n"


def test_values_are_yaml_and_go_where_a_profile_s_go(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text(TUNED + "profiles: {one: {seeds: 1, base.training.max_steps: 9}}\n")
    changes = ["seeds=[7]", "base.training.max_steps=3", "tune=null", "axes.rank={adapter.r: [2]}", "title=a = b"]
    study = parse_study(text, profile="one", overrides=changes)
    runs = planner(study, tmp_path).check()
    assert [(run.seed, run.recipe.training["max_steps"], run.recipe.adapter.r) for run in runs] == [(7, 3, 2)] * 2
    assert study.settings.tune is None
    assert study.settings.title == "a = b"


def test_the_last_change_wins(study_text: MakeStudy) -> None:
    assert parse_study(study_text(), overrides=["seeds=1", "seeds=[4, 5]"]).settings.seed_list == (4, 5)


def test_a_base_that_is_named_is_opened(study_text: MakeStudy, tmp_path: Path) -> None:
    text = "name: s\nbase: glue-cola-roberta-base\naxes: {rank: {adapter.r: [4]}}\nbaseline: '4'\n"
    study = parse_study(text, overrides=["base.training.num_train_epochs=2"])
    (recipe, *_) = [run.recipe for run in planner(study, tmp_path).check()]
    assert recipe.training["num_train_epochs"] == 2
    assert recipe.model.name_or_path == "FacebookAI/roberta-base"
    profile = text + "profiles: {short: {base.training.num_train_epochs: 3}}\n"
    (recipe, *_) = [run.recipe for run in planner(parse_study(profile, profile="short"), tmp_path).check()]
    assert (recipe.training["num_train_epochs"], recipe.data.preset) == (3, "cola")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("sedes=1", "override 'sedes=1': a study has no key 'sedes'; did you mean 'seeds'?"),
        ("bse.training.max_steps=1", "a study has no key 'bse'; did you mean 'base'?"),
        ("base.training.max_stps=1", "override 'base.training.max_stps=1'"),
        ("base.training.max_stps=1", "did you mean 'max_steps'?"),
        ("seeds.first=1", "'seeds' has no settings below it; write seeds=..."),
        ("axes.rnak=null", "there is no axis 'rnak' to take away; did you mean 'rank'?"),
        ("seeds", "is not of the form key=value"),
        ("seeds=0", "override 'seeds=0': is 0; expected 1 or more"),
        ("seeds=[1", "put quotes around text with special characters"),
        ("profiles={}", "a study has no key 'profiles'"),
        ("title=hf_" + "a" * 34, "override 'title=...': looks like a key or a token"),
    ],
)
def test_what_is_wrong_with_a_change(study_text: MakeStudy, tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        planner(parse_study(study_text(), overrides=[change]), tmp_path).check()
    assert told in str(caught.value)


def test_changes_are_written_down(run: Callable[..., StudyResults], study_text: MakeStudy, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(study_text("profiles: {one: {seeds: 1}}\n"))
    where = tmp_path / "out"
    results = run_study(
        file, folder=where, profile="one", overrides=["axes.rank={adapter.r: [4]}"], jobs=1, show_progress=False
    )
    assert len(results.runs) == 2
    assert results.options == "--profile one 'axes.rank={adapter.r: [4]}'"
    assert (where / "study.yaml").read_text().startswith("# run with --profile one 'axes.rank={adapter.r: [4]}'\n")
    assert load_results(where) == results


def test_a_profile_starts_from_another(study_text: MakeStudy, tmp_path: Path) -> None:
    extra = "profiles:\n  small: {seeds: 1, base.training.max_steps: 5}\n"
    extra += "  tiny: {like: small, base.training.max_steps: 2}\n"
    study = parse_study(study_text(extra), profile="tiny")
    assert study.settings.seed_list == (0,)
    assert {run.recipe.training["max_steps"] for run in planner(study, tmp_path).check()} == {2}
    for wrong, told in (("{like: smal}", "did you mean 'small'?"), ("{like: tiny}", "goes round in a circle")):
        with pytest.raises(RecipeError, match=told.replace("?", r"\?")):
            parse_study(study_text(extra.replace("{like: small, base.training.max_steps: 2}", wrong)), profile="tiny")


def test_a_study_starts_from_a_shared_profile(tmp_path: Path) -> None:
    text = "name: s\nlike: lab-words\ndescription: d\naxes.rank: {adapter.r: [4]}\nbase.training.max_steps: 2\n"
    study = parse_study(text + "profiles: {one: {seeds: 1}}\n", profile="one")
    (run,) = planner(study, tmp_path).check()
    assert (run.recipe.adapter.r, run.recipe.training["max_steps"], run.recipe.task) == (4, 2, "generation")
    with pytest.raises(RecipeError, match="did you mean 'lab-words'"):
        parse_study(text.replace("lab-words", "lab-word"))


def test_suites_can_be_for_some_levels_only(study_text: MakeStudy, tmp_path: Path) -> None:
    extra = "evaluate: [{suites: [cola], only: {method: LoRA}}, sst2]\n"
    runs = planner(parse_study(study_text(extra)), tmp_path).check()
    asked = {run.cell.labels["method"]: [call["suites"] for call in run.measures["evaluate"]] for run in runs}
    assert asked == {"LoRA": [["cola"], ["sst2"]], "PiSSA": [["sst2"]]}
    with pytest.raises(RecipeError, match=r"evaluate\.0\.only\.method: 'Lora' is no level of 'method'"):
        parse_study(study_text(extra.replace("LoRA}", "Lora}")))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("{rows: method, columns: rank, names: ['4', '8'], values: {LoRA: [1]}}", "has 1 numbers for 2 names"),
        ("{rows: method, columns: rank, names: ['4'], values: {LoRA: [about]}}", "is no number"),
        ("{rows: method, names: ['4'], values: {LoRA: [1]}}", "lacks columns"),
        ("{rows: m, columns: r, names: [a], value: 1, values: {}}", "unknown key 'value'"),
    ],
)
def test_a_published_table_is_checked(study_text: MakeStudy, table: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        parse_study(study_text(f"published: [{table}]\n"))


def test_a_published_table_is_its_numbers(study_text: MakeStudy) -> None:
    table = "{rows: method, columns: metrics, names: [eval_accuracy], levels: {rank: '4'}, values: {LoRA: [90.1±0.2]}}"
    (entry,) = parse_study(study_text(f"published: [{table}]\n")).settings.published
    assert entry["levels"] == {"rank": "4", "method": "LoRA"}
    assert (entry["metric"], entry["value"], entry["deviation"]) == ("eval_accuracy", 90.1, 0.2)
