"""Outputs that are no numbers end an evaluation with the row's name; every other output passes unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from balora.cli.main import main
from balora.errors import DivergedError
from balora.evaluation.bias import LanguageModel
from balora.evaluation.bias.likelihood import Passage, Writing
from balora.evaluation.finite import FiniteLogits, check_outputs
from balora.run import train
from tests.run.test_training import recipe_for
from tests.support import tiny


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_the_first_row_that_is_not_finite_is_named(bad: float) -> None:
    outputs = torch.zeros(4, 3)
    outputs[2, 1] = outputs[3, 0] = bad
    with pytest.raises(DivergedError, match=r"c: the model's outputs are not finite .*, and of 1 more of 4; use"):
        check_outputs(outputs, "abcd".__getitem__)
    check_outputs(outputs[:2], str)


def test_a_token_may_be_forbidden_and_nothing_is_changed() -> None:
    scores = torch.tensor([[0.0, -torch.inf]])
    watched = FiniteLogits(tiny.character_tokenizer())
    assert watched(torch.tensor([[1]]), scores) is scores
    with pytest.raises(DivergedError):
        watched(torch.tensor([[1]]), torch.tensor([[0.0, torch.nan]]))


def test_a_language_model_of_nan_gives_neither_probabilities_nor_texts() -> None:
    model = tiny.build("llama", "causal_lm")
    model.get_output_embeddings().weight.data.fill_(torch.nan)
    asked = LanguageModel(model, tiny.character_tokenizer())
    with pytest.raises(DivergedError, match="'<s>ab'"):
        asked.passages([Passage("abc")])
    with pytest.raises(DivergedError, match="'abc'"):
        asked.texts(["abc"], Writing(new_tokens=2, temperature=0.0, seed=0))


@pytest.fixture(scope="module", params=["classification", "generation"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose alpha makes every output overflow."""
    folder = tmp_path_factory.mktemp("overflowing")
    recipe = recipe_for(request.param, folder, training={"max_steps": 1})
    train(recipe, show_progress=False)
    config = Path(recipe.output.dir) / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "lora_alpha": 1e300}))
    return Path(recipe.output.dir)


@pytest.mark.parametrize("command", ["evaluate", "audit"])
def test_an_alpha_that_overflows_is_no_score_and_no_drift(
    command: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(run), "--out" if command == "evaluate" else "--output", str(tmp_path / "out")]) == 3
    assert "not finite" in capsys.readouterr().err
