"""Defaults by form and version of the paper, aliases, and refusals."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balora.losses.settings import ObjectiveSettings


def test_each_form_starts_from_the_paper() -> None:
    nlg, nlu = ObjectiveSettings(form="nlg"), ObjectiveSettings(form="nlu")
    assert (nlg.consistency_weight, nlg.diversity_weight, nlg.spectral_weight, nlg.spectral_k) == (
        0.025,
        0.005,
        0.005,
        10,
    )
    assert (nlu.consistency_weight, nlu.diversity_weight, nlu.spectral_weight, nlu.spectral_k) == (
        0.15,
        0.03,
        0.03,
        None,
    )
    assert (nlg.consistency_schedule, nlg.diversity_schedule) == ("cosine", "two_phase")
    assert (nlu.consistency_schedule, nlu.diversity_schedule) == ("constant", "constant")


def test_the_first_version_has_its_own_weights() -> None:
    first = ObjectiveSettings(form="nlu", formulation="2024")
    assert (first.consistency_weight, first.diversity_weight, first.spectral_weight) == (1e-4, 4e-4, 1e-4)
    assert first.spectral_k == 0.3


def test_what_is_given_wins_and_aliases_count_as_given() -> None:
    assert ObjectiveSettings(form="nlg", lambda1=0.5, svd_k=3).consistency_weight == 0.5  # type: ignore[call-arg]
    assert ObjectiveSettings(form="nlg", diversity_weight=0).diversity_weight == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"consistency_weight": -0.1},
        {"temperature": 0},
        {"spectral_k": 1.5},
        {"spectral_k": 0},
        {"lambda1": 0.1, "consistency_weight": 0.2},
        {"consistency_wieght": 0.1},
        {"form": "nlx"},
    ],
    ids=str,
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ObjectiveSettings(**wrong)  # type: ignore[arg-type]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        ObjectiveSettings().temperature = 3.0  # type: ignore[misc]
