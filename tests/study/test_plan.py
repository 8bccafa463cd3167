"""From a study to its runs: counts, seeds, exclusions, and the recipe of each."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from balora.errors import RecipeError
from balora.study import parse_study
from balora.study.plan import Planner
from tests.study.conftest import MakeStudy, planner


def plan(text: str, folder: Path, profile: str | None = None) -> Planner:
    return planner(parse_study(text, profile=profile), folder)


def test_cells_times_seeds(study_text: MakeStudy, tmp_path: Path) -> None:
    runs = plan(study_text(seeds=" [3, 5, 8]"), tmp_path).check()
    assert len(runs) == len({run.identity for run in runs}) == 2 * 2 * 3
    assert {run.seed for run in runs} == {3, 5, 8}


def test_an_exclusion_takes_out_exactly_what_matches_all_of_it(study_text: MakeStudy, tmp_path: Path) -> None:
    one = plan(study_text("exclude: [{method: PiSSA, rank: '8'}]\n"), tmp_path)
    assert [str(cell) for cell in one.cells] == ["LoRA, 4", "LoRA, 8", "PiSSA, 4"]
    listed = plan(study_text("exclude: [{rank: ['4', '8'], method: LoRA}]\n"), tmp_path)
    assert [str(cell) for cell in listed.cells] == ["PiSSA, 4", "PiSSA, 8"]
    with pytest.raises(RecipeError, match="leaves no run over"):
        plan(study_text("exclude: [{rank: ['4', '8']}]\n"), tmp_path)


def test_the_seed_of_a_run_sets_training_and_adapter_alone(study_text: MakeStudy, tmp_path: Path) -> None:
    runs = plan(study_text(seeds=" [7]"), tmp_path).check()
    for run in runs:
        assert (run.recipe.training["seed"], run.recipe.adapter.seed, run.recipe.data.split_seed) == (7, 7, 0)


def test_levels_reach_the_recipe_and_nothing_else_changes(study_text: MakeStudy, tmp_path: Path) -> None:
    runs = plan(study_text(seeds=" 1"), tmp_path).check()
    assert [(run.recipe.adapter.method, run.recipe.adapter.r) for run in runs] == [
        ("lora", 4),
        ("lora", 8),
        ("pissa", 4),
        ("pissa", 8),
    ]
    first = runs[0].recipe
    for run in runs:
        adapter = run.recipe.adapter.with_changes(method="lora", r=4)
        assert run.recipe.model_copy(update={"adapter": adapter}) == first


def test_the_budget_holds_for_every_run(study_text: MakeStudy, tmp_path: Path) -> None:
    extra = "budget: {max_steps: 5}\ntune: {keys: {training.learning_rate: [1e-4, 3e-4]}}\n"
    runs = plan(study_text(extra), tmp_path).check()
    assert {run.stage for run in runs} == {"tune", "final"}
    assert {run.recipe.training["max_steps"] for run in runs} == {5}


def test_a_sweep_holds_out_training_rows_and_never_sees_the_test_split(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text("tune: {keys: {training.learning_rate: [1e-4, 3e-4]}, split: 0.25}\nevaluate: [validation]\n")
    text = text.replace("validation: ", "test: train.csv, validation: ", 1).replace(
        "test: train.csv", f"test: {tmp_path}/train.csv"
    )
    tuned, final = ([run for run in plan(text, tmp_path).check() if run.stage == stage] for stage in ("tune", "final"))
    assert {run.recipe.data.validation for run in tuned} == {0.25}
    assert {run.recipe.data.test for run in tuned} == {None}
    assert all(not run.measures.get("evaluate") for run in tuned)
    assert {run.recipe.data.validation for run in final} == {str(tmp_path / "train.csv")}
    assert all(run.recipe.data.test and run.measures["evaluate"] for run in final)


def test_several_tuned_keys_are_crossed_and_each_candidate_has_every_tuning_seed(
    study_text: MakeStudy, tmp_path: Path
) -> None:
    keys = "{training.learning_rate: [1e-4, 3e-4], training.weight_decay: [0.0, 0.1]}"
    text = study_text(f"tune: {{keys: {keys}, seeds: [100, 101], per: [method]}}\n")
    sweeps = plan(text, tmp_path).sweeps()
    assert list(sweeps) == [("LoRA",), ("PiSSA",)]
    assert all(len(runs) == 2 * 2 * 2 and {run.seed for run in runs} == {100, 101} for runs in sweeps.values())


def test_shared_caches_are_on_unless_the_recipe_says_otherwise(study_text: MakeStudy, tmp_path: Path) -> None:
    assert all(run.recipe.adapter.svd_cache and run.recipe.data.cache for run in plan(study_text(), tmp_path).check())
    text = study_text().replace("axes:", "  adapter: {svd_cache: false}\naxes:")
    assert not any(run.recipe.adapter.svd_cache for run in plan(text, tmp_path).check())


def test_problems_of_levels_are_told_once_with_their_line(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text(
        axes="\n  method: [{label: A, adapter.metod: lora}, {label: B, adapter.method: lroa}]"
        "\n  rank: {adapter.r: [4, -8]}"
    )
    with pytest.raises(RecipeError) as caught:
        plan(text, tmp_path).check()
    line = text.split("\n").index("  rank: {adapter.r: [4, -8]}") + 1
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(set(told)) == 3
    assert any("adapter.metod" in each and "did you mean" in each and f"study.yaml:{line - 1}" in each for each in told)
    assert any("'lroa'" in each and "lora" in each for each in told)
    assert any(f"study.yaml:{line} adapter.r" in each and "-8" in each for each in told)


def test_a_missing_data_file_is_found_before_anything_runs(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text().replace("train.csv", "trian.csv")
    with pytest.raises(RecipeError, match=r"trian\.csv"):
        plan(text, tmp_path).check()


def test_variables_are_filled_in_and_unknown_ones_are_told(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text().replace("axes:", '  training: {data_seed: "${seed}", run_name: "run ${seed}"}\naxes:')
    runs = plan(text, tmp_path).check()
    assert {run.recipe.training["data_seed"] for run in runs} == {0, 1}
    assert {run.recipe.training["run_name"] for run in runs} == {"run 0", "run 1"}
    with pytest.raises(RecipeError, match=r"\$\{sede\} is not a variable here; did you mean 'seed'"):
        plan(text.replace("run ${seed}", "run ${sede}"), tmp_path).check()


def axes_of(counts: list[int]) -> str:
    return "".join(f"\n  axis{at}: {{adapter.r: {list(range(1, count + 1))}}}" for at, count in enumerate(counts))


@pytest.mark.parametrize(
    ("counts", "told"),
    [([90, 120, 150, 180, 200], r"axis0 90 x axis1 120 x .* x seeds 2"), ([9] * 12, r"axis11 9 x seeds 2")],
)
def test_more_combinations_than_a_study_may_have_are_refused_before_they_are_made(
    counts: list[int], told: str, study_text: MakeStudy, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(
        RecipeError, match=rf"axes: \d+ runs \(.*{told}\); a study may have 100000 before any is excluded"
    ):
        plan(study_text(axes=axes_of(counts)), tmp_path)
    assert time.monotonic() - began < 20


def test_a_sweep_has_the_same_bound(study_text: MakeStudy, tmp_path: Path) -> None:
    values = ", ".join(str(each) for each in range(1, 401))
    extra = f"tune: {{keys: {{training.max_steps: [{values}], adapter.r: [{values}]}}}}\n"
    with pytest.raises(RecipeError, match=r"tune: a sweep of 640000 runs"):
        plan(study_text(extra), tmp_path)


@pytest.mark.parametrize("seeds", [" 9999999999", " [true]", " true", " 100001", " [1.0]"])
def test_seeds_are_whole_numbers_and_not_without_end(seeds: str, study_text: MakeStudy, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="seeds"):
        plan(study_text(seeds=seeds), tmp_path)
