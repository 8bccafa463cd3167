"""`balora evaluate` on a folder: what it prints, and how it ends."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from balora.errors import DataError
from balora.evaluation.intervals import estimate
from balora.evaluation.resampling import mean_of_rows


class FakeEvaluation:
    """Stands in for `balora.run.evaluate`."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple, dict]] = []
        self.failure: Exception | None = None

    def __call__(self, *arguments: Any, **options: Any) -> list[Any]:
        self.calls.append((arguments, options))
        sys.stdout.write("chatter of a library\n")
        if self.failure is not None:
            raise self.failure
        import numpy as np

        score = {"accuracy": estimate(mean_of_rows(np.array([1, 0, 1, 1])), 4)}
        return [
            types.SimpleNamespace(
                suite="cola",
                path=Path("runs/r/evaluations/cola-1.json"),
                identical=False,
                scores=score,
                base=score if options["base"] else {},
                difference=score if options["base"] else {},
                drop={},
                document={"suite": "cola", "scores": {"accuracy": score["accuracy"].as_json()}},
            )
        ]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeEvaluation:
    fake = FakeEvaluation()
    module = types.ModuleType("balora.run")
    module.evaluate = fake
    module.__path__ = [str(Path(__file__).resolve().parents[2] / "src" / "balora" / "run")]
    monkeypatch.setitem(sys.modules, "balora.run", module)
    return fake


def test_scores_are_printed_with_their_intervals(balora, fake) -> None:
    outcome = balora("evaluate", "runs/r", "--suite", "cola, sst2", "--data", "d", "--base", "--limit", "4", "shots=0")
    assert outcome.code == 0
    assert "cola  accuracy  0.7500 [" in outcome.out
    assert "base        0.7500" in outcome.out
    assert "written to runs/r/evaluations/cola-1.json" in outcome.out
    assert "chatter" not in outcome.out
    ((arguments, options),) = fake.calls
    assert arguments == ("runs/r", ["cola", "sst2"])
    assert (options["data"], options["base"], options["limit"], options["settings"].shots) == ("d", True, 4, 0)


def test_json_is_one_document(balora, fake) -> None:
    (document,) = balora("evaluate", "runs/r", "--suite", "cola", "--json").document
    assert document["scores"]["accuracy"]["value"] == 0.75
    assert document["file"].endswith("cola-1.json")


def test_a_model_needs_no_run(balora, fake) -> None:
    assert balora("evaluate", "--model", "m", "--suite", "gsm8k", "--out", "o", "shots=0").code == 0
    ((arguments, options),) = fake.calls
    assert arguments[0] is None
    assert options["settings"].shots == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shotz=0"], "shotz: unknown setting (value '0'); did you mean 'shots'?"),
        (["nonsense"], "nonsense: is no KEY=VALUE"),
        (["shots=x"], "shots: input should be a valid integer"),
        (["shots=0", "num_fewshot=1"], "num_fewshot: is set twice"),
        (["judge.model=m", "judge.base_url=http://far.away/v1"], "use https"),
        (["samples=4"], "set temperature"),
    ],
)
def test_wrong_settings_are_explained(balora, fake, words: list[str], said: str) -> None:
    outcome = balora("evaluate", "runs/r", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.out == ""
    assert fake.calls == []


def test_failures_have_their_exit_codes(balora, fake) -> None:
    fake.failure = DataError.at("--data", "holds no file of cola", "name it")
    outcome = balora("evaluate", "runs/r", "--suite", "cola", "--json")
    assert outcome.code == 2
    assert outcome.document["error"]["problems"][0]["where"] == "--data"
