from __future__ import annotations

import pytest

from balora.data import preset_named, preset_names
from balora.data.presets import _PRESETS
from balora.errors import DataError

GLUE = {"cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "rte", "wnli", "stsb"}
EVERY = [preset for variants in _PRESETS.values() for preset in variants]


def test_every_glue_task_but_the_diagnostic_one_is_there() -> None:
    assert set(preset_names()) >= GLUE
    assert list(preset_names()) == sorted(preset_names())


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2"])
def test_spelling_does_not_matter(name: str) -> None:
    assert preset_named(name, "classification").hub_config == "sst2"


def test_an_unknown_preset_gets_a_suggestion() -> None:
    with pytest.raises(DataError, match=r"no preset is called 'colla'; did you mean 'cola'"):
        preset_named("colla", "classification")


def test_a_preset_of_another_task_names_it() -> None:
    with pytest.raises(
        DataError, match=r"'stsb' is a regression task, but task is classification; set task: regression"
    ):
        preset_named("stsb", "classification")


def test_sick_serves_both_tasks() -> None:
    assert preset_named("sick", "classification").label_names is not None
    assert preset_named("sick", "regression").label_names is None


@pytest.mark.parametrize("preset", EVERY, ids=lambda preset: f"{preset.hub_config or preset.text[0]}-{preset.task}")
def test_presets_are_consistent(preset: object) -> None:
    assert (preset.task == "regression") == (preset.label_names is None)
    assert preset.metrics
    assert set(preset.metrics) <= {"accuracy", "f1", "matthews", "pearson", "spearman"}
    assert set(preset.column_names) == {"text", "score" if preset.task == "regression" else "label"} | (
        {"text_pair"} if preset.text_pair else set()
    )
    for layout in preset.raw_layouts:
        roles = dict(layout.roles)
        assert set(roles) == set(preset.column_names)
        assert max(roles.values()) < min(layout.widths)


def test_a_raw_line_is_told_from_a_header() -> None:
    cola = preset_named("cola", "classification")
    assert cola.raw_layout(["gj04", "1", "", "A sentence."]) is not None
    assert cola.raw_layout(["source", "label", "mark", "sentence"]) is None
    assert cola.raw_layout(["sentence", "label"]) is None
    assert cola.raw_layout(["gj04", "1", "A sentence."]) is None
    assert cola.raw_layout(["gj04"]) is None
    stsb = preset_named("stsb", "regression")
    assert stsb.raw_layout(["main", "MSR", "2012", "1", "2.500", "a", "b"]) is not None
    assert stsb.raw_layout(["genre", "file", "year", "index", "score", "sentence1", "sentence2"]) is None
