"""A run goes on with other settings, data or versions only when it is told to, and says so wherever it is described."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from balora.errors import DivergedError, OutputError, StoppedError
from balora.recipe import Recipe
from balora.run import train
from tests.run.test_resuming import everything, logged, long_recipe, record_of, signal_at, weights_of

__all__ = ["signal_at"]


@pytest.fixture
def stopped(tmp_path: Path, signal_at: Any) -> Path:
    """The folder of a run stopped after step 3 of 12."""
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    return tmp_path / "run"


def with_record(folder: Path, **changes: Any) -> None:
    record = record_of(folder)
    for section, values in changes.items():
        record[section] |= values
    (folder / "run.json").write_text(json.dumps(record))


def with_adapter(recipe: Recipe, **values: Any) -> Recipe:
    return recipe.model_copy(update={"adapter": recipe.adapter.model_copy(update=values)})


def test_a_changed_setting_acts_and_is_recorded(stopped: Path, tmp_path: Path) -> None:
    changed = long_recipe(tmp_path, learning_rate=1e-5, logging_steps=2)
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=r"go on all the same with --resume-anyway, which records them"):
        train(changed, resume=True, show_progress=False)
    assert everything(tmp_path) == before
    result = train(changed, resume_anyway=True, show_progress=False)
    said = ["training.learning_rate: 0.001 in the checkpoint, 1e-05 now", "training.logging_steps: 1 in the checkpoint"]
    assert all(any(line in note for note in result.notes) for line in said)
    leg = record_of(stopped)["legs"][-1]
    assert {each["where"] for each in leg["differences"]} == {"training.logging_steps", "training.learning_rate"}
    assert "0.001 in the checkpoint, 1e-05 now" in str(leg["differences"])
    card = (stopped / "README.md").read_text()
    assert "## Changed on the way" in card
    assert "from step 3: training.learning" in card.replace("\\", "")
    rates = {line["step"]: line["learning_rate"] for line in logged(stopped) if "learning_rate" in line}
    assert [step for step in rates if step > 3] == [4, 6, 8, 10, 12]
    assert all(rate <= 1e-5 for step, rate in rates.items() if step > 3)
    assert rates[3] > 1e-4
    assert "1e-05" in (stopped / "recipe.resolved.yaml").read_text()
    assert "0.001" in (stopped / "recipe.resolved.leg-1.yaml").read_text()


def test_the_changed_settings_are_those_that_the_next_leg_is_compared_with(
    stopped: Path, tmp_path: Path, signal_at: Any
) -> None:
    changed = long_recipe(tmp_path, learning_rate=1e-5)
    signal_at("on_step_begin", 5, signal.SIGINT)
    with pytest.raises(StoppedError, match="step 6"):
        train(changed, resume_anyway=True, show_progress=False)
    signal_at.undo()
    train(changed, resume=True, show_progress=False)
    assert [bool(leg.get("differences")) for leg in record_of(stopped)["legs"]] == [False, True, False]
    assert "Changed on the way" in (stopped / "README.md").read_text()


def test_without_a_difference_it_is_a_plain_resume(stopped: Path, tmp_path: Path) -> None:
    train(long_recipe(tmp_path), resume_anyway=True, show_progress=False)
    train(long_recipe(tmp_path, "whole"), show_progress=False)
    assert weights_of(stopped) == weights_of(tmp_path / "whole")
    assert "differences" not in record_of(stopped)["legs"][-1]
    assert (stopped / "README.md").read_text() == (tmp_path / "whole" / "README.md").read_text()


def test_a_corrected_row_is_taken_and_more_steps_are_done(stopped: Path, tmp_path: Path) -> None:
    recipe = long_recipe(tmp_path, num_train_epochs=3)
    data = tmp_path / "train.jsonl"
    data.write_text(data.read_text().replace("row 3 ", "cow 3 "))
    train(recipe, resume_anyway=True, show_progress=False)
    assert [each["where"] for each in record_of(stopped)["legs"][-1]["differences"]] == [
        "training.num_train_epochs",
        "data.train",
        "data.validation",
    ]
    assert max(line["step"] for line in logged(stopped)) == 18
    assert str(tmp_path) not in (stopped / "README.md").read_text().split("Changed on the way")[1]


@pytest.mark.parametrize("change", ["rank", "optimizer", "base"])
def test_what_cannot_work_is_refused_all_the_same(change: str, stopped: Path, tmp_path: Path) -> None:
    recipe = long_recipe(tmp_path, **({"optim": "adafactor"} if change == "optimizer" else {}))
    if change == "rank":
        recipe = with_adapter(recipe, r=2)
    if change == "base":
        record = record_of(stopped)
        record["model"]["base"]["weights_sha256"] = "0" * 64
        (stopped / "run.json").write_text(json.dumps(record))
    before = everything(stopped)
    with pytest.raises(OutputError) as caught:
        train(recipe, resume_anyway=True, show_progress=False)
    assert "--resume-anyway" not in str(caught.value)
    assert everything(stopped) == before


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path) -> None:
    train(long_recipe(tmp_path), show_progress=False)
    before = everything(tmp_path / "run")
    with pytest.raises(OutputError, match="start a new run in another folder"):
        train(long_recipe(tmp_path, learning_rate=1e-5), resume_anyway=True, show_progress=False)
    assert everything(tmp_path / "run") == before


def test_versions_that_decide_bits_refuse_and_others_are_told(stopped: Path, tmp_path: Path) -> None:
    old = {"versions": {"torch": "2.10.0", "datasets": "4.0.0"}, "hardware": {"threads": 64}}
    with_record(stopped, **old)
    with pytest.raises(OutputError, match=r"versions\.torch: '2\.10\.0' in the checkpoint, .* now"):
        train(long_recipe(tmp_path), resume=True, show_progress=False)
    result = train(long_recipe(tmp_path), resume_anyway=True, show_progress=False)
    for line in ("versions.torch: '2.10.0' in the", "versions.datasets: '4.0.0' in the", "hardware.threads: 64 in the"):
        assert any(line in note for note in result.notes)
    record = record_of(stopped)
    assert record["versions"]["torch"] != "2.10.0"
    assert [each["where"] for each in record["legs"][-1]["differences"]] == ["versions.torch"]
    assert all(leg["versions"]["torch"] and leg["hardware"]["threads"] for leg in record["legs"])


def test_a_leg_without_versions_of_its_own_gets_those_of_its_record(stopped: Path, tmp_path: Path) -> None:
    record = record_of(stopped)
    del record["legs"][0]["versions"], record["legs"][0]["hardware"]
    record["versions"]["datasets"], record["hardware"]["threads"] = "4.0.0", 64
    (stopped / "run.json").write_text(json.dumps(record))
    train(long_recipe(tmp_path), resume=True, show_progress=False)
    first = record_of(stopped)["legs"][0]
    assert (first["versions"]["datasets"], first["hardware"]["threads"]) == ("4.0.0", 64)


def test_a_term_that_is_turned_off_on_the_way(stopped: Path, tmp_path: Path) -> None:
    recipe = long_recipe(tmp_path)
    weights = recipe.regularizers.model_copy(update={"consistency_weight": 0.0})
    train(recipe.model_copy(update={"regularizers": weights}), resume_anyway=True, show_progress=False)
    assert record_of(stopped)["status"] == "finished"


def diverging(tmp_path: Path, **changes: Any) -> Recipe:
    return long_recipe(tmp_path, learning_rate=1e30, **changes)


def test_a_divergence_offers_what_works(tmp_path: Path, stopped: Path) -> None:
    with pytest.raises(DivergedError, match=r"same command and --resume-anyway goes on from checkpoint-3$"):
        train(diverging(tmp_path), resume_anyway=True, show_progress=False)
    train(long_recipe(tmp_path, learning_rate=1e-5), resume_anyway=True, show_progress=False)
    assert record_of(stopped)["status"] == "finished"


def test_a_divergence_before_the_first_checkpoint_is_told_alike_everywhere(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="nothing to go on from, so start again in another folder"):
        train(diverging(tmp_path), show_progress=False)
    before = everything(tmp_path / "run")
    for options in ({}, {"resume": True}, {"resume_anyway": True}):
        with pytest.raises(OutputError, match=r"diverged before its first checkpoint.*another folder, or delete this"):
            train(long_recipe(tmp_path), show_progress=False, **options)
    assert everything(tmp_path / "run") == before
