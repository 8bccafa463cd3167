"""What is said before the first step about terms that cannot act."""

from __future__ import annotations

import pytest

from balora.training import BALoraConfig, notes_on_objective


@pytest.mark.parametrize(("center", "classes", "speaks"), [("none", 2, 0), ("batch_and_class", 2, 1), ("batch", 3, 0)])
def test_centring_that_leaves_the_spectral_term_nothing_is_said(center: str, classes: int, speaks: int) -> None:
    config = BALoraConfig.nlu(center=center)
    notes = notes_on_objective(config, "classification", classes=classes, rows_per_batch=8)
    assert len(notes) == speaks
    assert all("center: batch_and_class" in note and "spectral_weight to 0" in note for note in notes)


def test_the_way_out_is_a_k_that_acts() -> None:
    config = BALoraConfig.nlu(spectral_k=5, center="batch_and_class")
    (note,) = notes_on_objective(config, "classification", classes=4, rows_per_batch=8)
    assert "set spectral_k to 2" in note
    mended = config.model_copy(update={"spectral_k": 2})
    assert not notes_on_objective(mended, "classification", classes=4, rows_per_batch=8)
