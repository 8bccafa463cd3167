"""Every shipped study, in every profile: it plans, can be reported, and printed numbers find their places."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from balora.adapters.registry import METHODS
from balora.lab import build_world
from balora.study import STUDIES, load_study
from balora.study.catalogue import PROFILES
from balora.study.document import Study
from balora.study.launch import plan_board
from balora.study.layouts import figure_layouts
from balora.study.results import StudyResults
from balora.study.tables import build_tables

PAPER = {
    "ablation",
    "clean-noisy-pretraining",
    "cost",
    "glue-deberta",
    "imbalance",
    "llama2-generation",
    "noise-2024",
    "ranks",
    "regularized-methods",
    "sensitivity",
    "ten-models",
    "training-curves",
}
"""One study for each experiment of the paper."""


def profiles_of(text: str) -> list[str | None]:
    return [None, *(YAML(typ="safe", pure=True).load(text).get("profiles") or {})]


ALL = [(study.name, profile) for study in STUDIES.all() for profile in profiles_of(study.text)]


def planned(name: str, profile: str | None, folder: Path) -> tuple[Study, StudyResults]:
    study = load_study(name, profile)
    return study, plan_board(study, folder).results()


@pytest.mark.parametrize(("name", "profile"), ALL)
def test_a_shipped_study_plans_and_can_be_reported(name: str, profile: str | None, tmp_path: Path) -> None:
    study, results = planned(name, profile, tmp_path)
    assert study.settings.name == name
    assert results.description
    assert results.baseline is not None
    board = plan_board(study, tmp_path)
    recipes = [run.recipe for run in board.known_runs()]
    assert recipes
    assert {recipe.adapter.method for recipe in recipes} <= set(METHODS)
    figure_layouts(results)
    shown = {
        number.value for table in build_tables(results) for cell in table.cells.values() for number in cell.published
    }
    missing = {float(entry["value"]) for entry in results.published} - shown
    assert not missing, "published numbers that stand in no table"


@pytest.mark.parametrize("name", sorted(PAPER))
def test_every_experiment_of_the_paper_has_its_seeds_and_a_profile_that_runs_offline(name: str, tmp_path: Path) -> None:
    study, _ = planned(name, None, tmp_path)
    assert study.settings.seed_list in ((42, 1024, 2024), (42,))
    mini, _ = planned(name, "mini", tmp_path)
    assert mini.has_lab
    assert mini.settings.seed_list == (0, 1, 2)
    for run in plan_board(mini, tmp_path).known_runs():
        assert run.lab is not None
        assert run.recipe.model.name_or_path == str(run.lab.model)
        assert run.recipe.data.dataset is None
        assert run.recipe.data.preset is None
        assert run.recipe.training["use_cpu"]
        thinned = run.recipe.data.corrupt.imbalance
        assert set(thinned) <= set(build_world(run.lab.settings.world).cities)


def test_shared_profiles_are_used() -> None:
    texts = "\n".join(study.text for study in STUDIES.all())
    for name in PROFILES.names():
        assert f"like: {name}\n" in texts
