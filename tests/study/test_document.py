"""A study file: every problem at once, each with its line and a way out; profiles; bases."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.errors import RecipeError
from balora.study import load_study, parse_study
from tests.study.conftest import MakeStudy, planner


def problems(text: str, profile: str | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_study(text, profile=profile)
    return [str(problem) for problem in caught.value.problems]


def test_every_problem_is_told_at_once_in_the_order_of_the_file(study_text: MakeStudy) -> None:
    text = study_text("seedz: 3\nbaseline: Lora\ncompare: metod\nbudget: {max_stps: 3}\n", seeds=" 0")
    told = problems(text)
    joined = "\n".join(told)
    assert "seeds: is 0; expected 1 or more" in joined
    assert "seedz: unknown key (value 3); did you mean 'seeds'?" in joined
    assert "budget.max_stps: unknown key (value 3); did you mean 'max_steps'?" in joined
    lines = [int(line.split(":")[1].split(" ")[0]) for line in told]
    assert lines == sorted(lines)


def test_problems_of_recipes_and_of_the_study_are_told_together(study_text: MakeStudy) -> None:
    told = problems(study_text("seedz: 3\n", axes="\n  rank: {adapter.rr: [4, 8]}"))
    assert len(told) == 3
    assert "seedz: unknown key" in told[0]
    assert all("adapter.rr: unknown key" in each for each in told[1:])


def test_every_value_of_a_sweep_is_checked(study_text: MakeStudy, tmp_path: Path) -> None:
    study = parse_study(study_text("tune: {keys: {training.learning_rate: [1e-4, fast]}}\n"))
    with pytest.raises(RecipeError, match=r"training\.learning_rate: is 'fast'"):
        planner(study, tmp_path).check()


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("compare: metod\n", "compare: no axis is called 'metod'; did you mean 'method'?"),
        ("baseline: lora\n", "baseline: 'lora' is no level of 'method'; did you mean 'LoRA'?"),
        ("exclude: [{method: Lora}]\n", "'Lora' is no level of 'method'"),
        ("exclude: [{metod: LoRA}]\n", "no axis has this name; did you mean 'method'?"),
        ("tune: {keys: {training.learning_rate: [1e-4]}}\n", "training.learning_rate has 1 value"),
        ("tune: {keys: {training.learning_rate: [1e-4, 1e-3]}, split: 2}\n", "tune.split: is 2; expected a share"),
        ("tune: {keys: {training.learning_rate: [1e-4, 1e-3]}, per: [rnak]}\n", "no axis is called 'rnak'"),
        ("prepare: {labs: {}}\n", "did you mean 'lab'?"),
        ("tables: {rows: method}\n", "tables: is {'rows': 'method'}; expected a list"),
        ("figures: [fronts]\n", "expected a mapping"),
        ("profiles: 3\n", "profiles: is 3"),
    ],
)
def test_what_is_wrong(study_text: MakeStudy, extra: str, told: str) -> None:
    found = problems(study_text(extra))
    assert any(told in each for each in found), found
    assert all(each.startswith("study.yaml:") for each in found)


def test_tables_figures_and_published_numbers_are_passed_on(study_text: MakeStudy) -> None:
    number = "{levels: {method: PiSSA}, value: 1}"
    study = parse_study(study_text(f"tables: [{{rows: method}}]\nfigures: [{{kind: dots}}]\npublished: [{number}]\n"))
    assert study.settings.tables == [{"rows": "method"}]
    assert study.settings.figures == [{"kind": "dots"}]
    assert study.settings.published == [{"levels": {"method": "PiSSA"}, "value": 1}]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "{levels: {metod: PiSSA}, value: 1}",
            "published.0.levels.metod: no axis is called 'metod'; did you mean 'method'?",
        ),
        ("{rows: method, columns: tsk, names: [a], values: {A: [1]}}", "published.0.columns: no axis is called 'tsk'"),
        ("{levels: {method: A}, valu: 1}", "published.0.valu: unknown key; did you mean 'value'?"),
        ("{levels: {method: A}, value: about 90}", "published.0.value: is 'about 90'; write a number"),
        ("{levels: {method: A}, value: 1, deviation: '±2'}", "published.0.deviation: is '±2'; write a number"),
        ("{value: 1}", "published.0.levels: names no place"),
    ],
)
def test_a_published_number_that_would_stand_nowhere_is_told_with_its_line(
    written: str, said: str, study_text: MakeStudy
) -> None:
    text = study_text(f"published:\n  - {written}\n")
    with pytest.raises(RecipeError) as error:
        parse_study(text)
    line = text.splitlines().index(f"  - {written}") + 1
    assert f"study.yaml:{line} {said}" in "\n".join(map(str, error.value.problems))


def test_a_published_level_that_the_study_does_not_run_is_left_out(study_text: MakeStudy) -> None:
    parse_study(study_text("published: [{levels: {method: a method of the paper}, value: 1, deviation: null}]\n"))


def test_a_profile_replaces_what_it_names(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text(
        "profiles:\n  mini:\n    seeds: 1\n    base.training.max_steps: 3\n    axes.rank: null\n"
        "    axes.method: [{label: L, adapter.method: lora}]\n"
    )
    full, mini = parse_study(text), parse_study(text, profile="mini")
    assert len(planner(full, tmp_path).check()) == 8
    (run,) = planner(mini, tmp_path).check()
    assert (run.cell.labels, run.seed, run.recipe.training["max_steps"]) == ({"method": "L"}, 0, 3)


def test_an_axis_that_a_profile_replaces_keeps_its_place(study_text: MakeStudy) -> None:
    text = study_text("profiles: {mini: {axes.rank: {adapter.r: [2]}}}\n")
    full, mini = parse_study(text), parse_study(text, profile="mini")
    first = next(axis.name for axis in full.axes)
    moved = study_text(f"profiles: {{mini: {{axes.{first}: {{adapter.r: [2]}}}}}}\n")
    assert [axis.name for axis in full.axes] == [axis.name for axis in mini.axes]
    assert [axis.name for axis in parse_study(moved, profile="mini").axes] == [axis.name for axis in full.axes]


def test_a_mistake_in_a_profile_is_told_at_its_line(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text("profiles:\n  mini:\n    base.training.lerning_rate: 1\n    sedes: 3\n")
    line = text.split("\n").index("    sedes: 3") + 1
    told, in_recipe = problems(text, "mini")
    assert f"study.yaml:{line - 1} training.lerning_rate" in in_recipe
    assert told.startswith(f"study.yaml:{line} sedes: unknown key")
    assert "'seeds'" in told
    with pytest.raises(RecipeError, match=rf"study\.yaml:{line - 1} training\.lerning_rate: .*learning_rate"):
        planner(parse_study(text.replace("    sedes: 3\n", ""), profile="mini"), tmp_path).check()
    assert "did you mean 'mini'?" in problems(text, "mimi")[0]


def test_a_base_can_be_a_file_beside_the_study_or_a_shipped_recipe(study_text: MakeStudy, tmp_path: Path) -> None:
    study = parse_study(study_text())
    assert study.base.values["task"] == "classification"
    (tmp_path / "mine.yaml").write_text("task: generation\nmodel: {name_or_path: m}\noutput: {dir: x}\n")
    (tmp_path / "study.yaml").write_text("name: s\nbase: mine.yaml\naxes: {rank: {adapter.r: [4]}}\n")
    beside = load_study(tmp_path / "study.yaml")
    assert beside.base.values == {"task": "generation", "model": {"name_or_path": "m"}}
    shipped = parse_study("name: s\nbase: glue-cola-roberta-base\naxes: {rank: {adapter.r: [4]}}\n")
    assert shipped.base.origin == "glue-cola-roberta-base.yaml"
    (told,) = problems("name: s\nbase: glue-cola-roberta-bas\naxes: {r: {adapter.r: [4]}}\n")
    assert "did you mean 'glue-cola-roberta-base'" in told


def test_no_keys_in_a_study(study_text: MakeStudy) -> None:
    (told,) = problems(study_text("# hf_" + "a" * 34 + "\n"))
    assert "looks like a key" in told


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'clean-flawed-lab'"):
        load_study("clean-flawd-lab")


def test_metrics_that_nothing_would_measure_are_refused(study_text: MakeStudy, tmp_path: Path) -> None:
    from balora.study.launch import plan_board

    with pytest.raises(RecipeError, match=r"'audit\.drift' needs an audit"):
        plan_board(parse_study(study_text(metrics=" [audit.drift]")), tmp_path)
    tune = "tune: {keys: {training.learning_rate: [1e-4, 3e-4]}, by: test_accuracy}\n"
    with pytest.raises(RecipeError, match="'test_accuracy' is not measured on a validation split"):
        plan_board(parse_study(study_text(tune)), tmp_path)


def test_a_folder_called_like_a_shipped_study_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ablation").mkdir()
    assert load_study("ablation", "mini").settings.name == "ablation"
    (tmp_path / "mine").mkdir()
    with pytest.raises(RecipeError, match="is not a file"):
        load_study("mine")
