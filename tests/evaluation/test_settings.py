"""Settings that cannot mean anything are refused, and what is typed as text becomes what it stands for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balora.errors import InputError
from balora.evaluation.settings import EvaluationSettings, ScoringSettings
from balora.run.evaluation_settings import checked_settings, scoring_settings


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"every": 0}, "every is 0"),
        ({"patience": 2}, "patience needs a score"),
        ({"min_improvement": 0.1}, "min_improvement is for patience"),
        ({"every": "end", "keep_best": "loss"}, "makes only one"),
        ({"every": "year"}, "epoch"),
    ],
)
def test_schedules_that_cannot_be(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EvaluationSettings.model_validate(values)


def test_words_become_settings() -> None:
    words = ["n=4", "temperature=0.5", "label_words=no, yes", "judge.model=m", "judge.turns=1", "spend=true"]
    found = scoring_settings(words)
    assert (found.samples, found.temperature, found.label_words, found.spend) == (4, 0.5, ["no", "yes"], True)
    assert found.judge is not None
    assert (found.judge.model, found.judge.turns) == ("m", (1,))
    assert scoring_settings([]) == ScoringSettings()


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError) as raised:
        scoring_settings(["shotz=1", "seed=-1", "plain", "judge.modell=m"])
    said = str(raised.value)
    assert said.count("\n") == 3
    for part in ("did you mean 'shots'", "seed: input should be greater", "no KEY=VALUE", "did you mean 'judge.model'"):
        assert part in said


def test_samples_need_a_temperature() -> None:
    for values in ({"samples": 2}, {"top_p": 0.9}):
        with pytest.raises(InputError, match="set temperature"):
            checked_settings(values)
    assert checked_settings({"samples": 2, "temperature": 0.7}).samples == 2
