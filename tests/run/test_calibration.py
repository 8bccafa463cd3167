"""The calibration sample of a recipe: from the training split or a named text, recorded and repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from balora.errors import InputError
from balora.recipe import Recipe
from balora.run.beginning import described_data
from balora.run.parts import Inputs, read_inputs
from tests.support.folders import save_tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    (folder / "train.csv").write_text("text,label\n" + "".join(f"row number {n},{n % 2}\n" for n in range(40)))
    (folder / "general.txt").write_text("a line of general text\n\n" + "x" * 200 + "\n" + "y\n")
    return save_tiny(folder, "bert", "sequence_classification")


def inputs(base: Path, **adapter: Any) -> Inputs:
    recipe = Recipe.model_validate(
        {
            "task": "classification",
            "model": {"name_or_path": str(base)},
            "data": {"train": str(base / "train.csv"), "max_length": 32},
            "adapter": adapter,
        }
    )
    return read_inputs(recipe)


def test_methods_without_a_data_driven_start_draw_nothing(base: Path) -> None:
    assert inputs(base, method="pissa").calibration is None
    assert "calibration" not in described_data(inputs(base, method="milora"))


def test_rows_of_the_training_split_with_their_labels(base: Path) -> None:
    sample = inputs(base, method="lora_ga", calibration={"samples": 6, "seed": 4}).calibration
    assert sample is not None
    again = inputs(base, method="lora_ga", calibration={"samples": 6, "seed": 4})
    assert again.calibration is not None
    assert list(sample.rows) == list(again.calibration.rows)
    assert described_data(again)["calibration"] == {
        "source": "training split",
        "rows": 6,
        "seed": 4,
        "fingerprint": again.data.fingerprint,
    }
    other = inputs(base, method="lora_ga", calibration={"samples": 6, "seed": 5}).calibration
    assert other is not None
    assert list(other.rows) != list(sample.rows)
    assert set(sample.collate(sample.rows[:2])) >= {"input_ids", "attention_mask", "labels"}


def test_a_named_text_is_cut_into_windows_and_carries_no_labels_for_a_classifier(base: Path) -> None:
    text = str(base / "general.txt")
    sample = inputs(base, method="corda", corda_mode="kpm", calibration={"text": text}).calibration
    assert sample is not None
    lengths = [len(row["input_ids"]) for row in sample.rows]
    assert lengths == [22, 32, 32, 32, 32, 32, 32, 8], "nothing is cut off, and a single letter is no window"
    assert "labels" not in sample.collate(sample.rows)
    assert sample.source == text
    assert len(sample.fingerprint) == 64


def test_a_text_that_is_not_there_is_blamed_on_its_own_key(base: Path) -> None:
    with pytest.raises(InputError, match=r"adapter\.calibration\.text: .*missing\.txt"):
        inputs(base, method="corda", corda_mode="kpm", calibration={"text": str(base / "missing.txt")})


def test_drawing_leaves_the_global_generator_alone(base: Path) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    inputs(base, method="eva")
    assert torch.equal(state, torch.get_rng_state())
