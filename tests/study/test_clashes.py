"""What one axis sets, no later axis wipes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.errors import RecipeError
from balora.study import parse_study
from balora.study.preview import preview_study
from tests.study.conftest import MakeStudy, planner

WEIGHTS = "\n  weight: {regularizers.consistency_weight: [0.1, 0.2]}"
WORDS = "\n  terms: [{label: off, regularizers: none}, {label: paper, regularizers: paper}]"


def told(text: str, folder: Path) -> list[str]:
    with pytest.raises(RecipeError) as error:
        planner(parse_study(text), folder).check()
    return [str(problem) for problem in error.value.problems]


def test_a_section_wide_value_of_a_later_axis_is_refused_with_both_lines(study_text: MakeStudy, tmp_path: Path) -> None:
    text = study_text(axes=f"{WEIGHTS}{WORDS}")
    lines = text.splitlines()
    one, other = (1 + next(at for at, line in enumerate(lines) if word in line) for word in ("weight:", "terms:"))
    problems = told(text, tmp_path)
    assert problems[0].startswith(f"study.yaml:{other} regularizers: 'off' of axis 'terms' sets regularizers: 'none'")
    assert f"which '0.1' of axis 'weight' sets at study.yaml:{one}" in problems[0]
    assert "put axis 'terms' before 'weight'" in problems[0]
    assert len(problems) == 4  # two levels wipe each of two


def test_the_other_order_and_single_keys_are_fine(study_text: MakeStudy, tmp_path: Path) -> None:
    runs = planner(parse_study(study_text(axes=f"{WORDS}{WEIGHTS}")), tmp_path).check()
    assert {run.recipe.regularizers.consistency_weight for run in runs} == {0.1, 0.2}
    keys = "\n  terms: [{label: off, regularizers.diversity_weight: 0}, {label: on, regularizers.diversity_weight: 1}]"
    assert planner(parse_study(study_text(axes=f"{WEIGHTS}{keys}")), tmp_path).check()


def test_what_is_excluded_wipes_nothing(study_text: MakeStudy, tmp_path: Path) -> None:
    only_base = "\n  weight: [{label: as is}, {label: more, regularizers.consistency_weight: 0.2}]"
    excluded = "exclude: [{weight: more}]\n"
    assert planner(parse_study(study_text(excluded, axes=f"{only_base}{WORDS}")), tmp_path).check()


def test_nested_keys_aliases_and_one_level_count_too(study_text: MakeStudy, tmp_path: Path) -> None:
    nested = (
        "\n  rate: {data.corrupt.label_noise: [0.1]}"
        "\n  kind: [{label: all, data.corrupt: {label_noise: 0.2}}]"
        "\n  method: [{label: mine, regularizers.diversity_weight: 1, regularizers: none}]"
    )
    problems = told(study_text(axes=nested), tmp_path)
    assert any("wipes data.corrupt.label_noise" in each for each in problems)
    assert any("write regularizers first in this level" in each for each in problems)


def test_a_dry_run_refuses_it_and_writes_nothing(study_text: MakeStudy, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(study_text(axes=f"{WEIGHTS}{WORDS}"))
    with pytest.raises(RecipeError, match=r"wipes regularizers\.consistency_weight"):
        preview_study(file, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
