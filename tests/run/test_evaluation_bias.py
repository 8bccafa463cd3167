"""Bias benchmarks as suites of an evaluation: the audit's numbers, for every kind of model that has words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import transformers

from balora.auditing import audit
from balora.errors import InputError, ModelError
from balora.evaluation.bias import BiasSettings, LanguageModel, measure_bias
from balora.run import SuiteResult, evaluate, train
from balora.run.evaluation_settings import scoring_settings
from tests.auditing.conftest import QUICK, STORY, plain_adapter
from tests.auditing.test_bias import HEADER
from tests.evaluation.bias.models import masked_model, masked_tokenizer
from tests.run.test_training import recipe_for
from tests.support import tiny

SETTINGS: dict[str, Any] = {"seed": 42, "resamples": 100}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that holds CrowS-Pairs and BOLD."""
    folder = tmp_path / "data"
    (folder / "crows_pairs").mkdir(parents=True)
    rows = [f'{n},{word(n)} was,{word(n + 99)} was,stereo,gender,[],a1,"[1]"\n' for n in range(40)]
    (folder / "crows_pairs" / "crows_pairs_anonymized.csv").write_text(HEADER + "".join(rows))
    (folder / "bold").mkdir()
    prompts = {"women": {"Ann_B": ["Ann B is", "Ann was"]}, "men": {"Bob_C": ["Bob C is", "Bob was"]}}
    (folder / "bold" / "gender_prompt.json").write_text(json.dumps(prompts))
    return folder


def word(seed: int) -> str:
    """Five letters that a random model finds more or less likely."""
    return "".join(random.Random(seed).choices("abcdefghij", k=5))


def only(results: list[SuiteResult]) -> SuiteResult:
    (result,) = results
    return result


def pretrained_encoder(folder: Path) -> Path:
    """A tiny BERT with its word head."""
    masked_model().save_pretrained(folder)
    masked_tokenizer().save_pretrained(folder)
    return folder


def trained_classifier(folder: Path) -> Path:
    """A run of ours: a classification adapter on that BERT."""
    recipe = recipe_for("classification", folder, training={"learning_rate": 2e-2, "max_steps": 6})
    base = pretrained_encoder(folder / "masked")
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"name_or_path": str(base)})})
    train(recipe, show_progress=False)
    return folder / "run"


def plainly(model: Any, tokenizer: Any, data: Path) -> dict[str, float]:
    """What the benchmark says of a model, measured without any of this."""
    source = {"crows_pairs": str(data / "crows_pairs" / "crows_pairs_anonymized.csv")}
    report = measure_bias({"it": LanguageModel(model.eval(), tokenizer)}, source, settings=BiasSettings(resamples=100))
    return {name: score.value for name, score in report.benchmarks["crows_pairs"].scores["it"].items()}


def test_the_numbers_are_the_audit_s(tmp_path: Path, data: Path) -> None:
    adapter = plain_adapter(tmp_path)
    result = only(
        evaluate(adapter, "crows_pairs", data=data, base=True, limit=8, settings=SETTINGS, show_progress=False)
    )
    stories = tmp_path / "stories.txt"
    stories.write_text(STORY)
    asked = {
        **QUICK,
        "max_rows": 8,
        "bias": {"crows_pairs": str(data / "crows_pairs" / "crows_pairs_anonymized.csv")},
    }
    report = audit(adapter, general_text=stories, only=["bias"], settings=asked, show_progress=False)
    theirs = report.parts["bias"].details["benchmarks"]["crows_pairs"]
    ours = json.loads(result.path.read_text())["bias"]["benchmarks"]["crows_pairs"]
    assert ours == json.loads(json.dumps(theirs).replace("NaN", "null"))
    assert ours["changes"]["tuned"]["metric_score"]["test"] == "McNemar, exact"
    assert next(iter(result.scores)) == "metric_score"
    for name, change in result.difference.items():
        assert change.value == pytest.approx(result.scores[name].value - result.base[name].value, nan_ok=True)


def test_bias_stands_for_what_the_folder_holds(tmp_path: Path, data: Path) -> None:
    adapter = plain_adapter(tmp_path)
    settings = scoring_settings(["bias.bold_new_tokens=3", "resamples=100"])
    results = evaluate(adapter, "bias", data=data, limit=3, settings=settings, show_progress=False)
    assert [result.suite for result in results] == ["crows_pairs", "bold"]
    assert [result.document["items"] for result in results] == [3, 3]
    assert not any(result.base or result.difference for result in results)
    again = evaluate(adapter, "bias", data=data, limit=3, settings=settings, show_progress=False)
    assert all(result.identical for result in again)


def test_an_encoder_s_adapter_is_asked_under_the_base_s_word_head(tmp_path: Path, data: Path) -> None:
    run = trained_classifier(tmp_path)
    result = only(evaluate(run, "bias", data=data, base=True, settings=SETTINGS, show_progress=False))
    assert result.suite == "crows_pairs"  # BOLD is for models that write
    assert result.document["bias"]["benchmarks"]["crows_pairs"]["kinds"] == {"base": "masked", "tuned": "masked"}
    base = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "masked")
    wanted = plainly(base, masked_tokenizer(), data)
    assert {name: score.value for name, score in result.base.items()} == pytest.approx(wanted, nan_ok=True)
    assert any(score.value for score in result.difference.values())
    assert any("was not trained with it" in note for note in result.document["notes"])


def test_a_masked_model_is_asked_as_it_is(tmp_path: Path, data: Path) -> None:
    folder = pretrained_encoder(tmp_path / "masked")
    result = only(
        evaluate(
            None,
            "crows_pairs",
            model=str(folder),
            data=data,
            out=tmp_path / "e",
            settings=SETTINGS,
            show_progress=False,
        )
    )
    wanted = plainly(transformers.AutoModelForMaskedLM.from_pretrained(folder), masked_tokenizer(), data)
    assert {name: score.value for name, score in result.scores.items()} == pytest.approx(wanted, nan_ok=True)


def test_the_base_of_a_pissa_adapter_of_peft_is_the_pretrained_model(tmp_path: Path, data: Path) -> None:
    adapter = plain_adapter(tmp_path, init_lora_weights="pissa", convert=False)
    result = only(evaluate(adapter, "crows_pairs", data=data, base=True, settings=SETTINGS, show_progress=False))
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    wanted = plainly(base, tiny.character_tokenizer(), data)
    assert {name: score.value for name, score in result.base.items()} == pytest.approx(wanted, nan_ok=True)


def test_who_has_no_words_is_told_before_anything_is_written(tmp_path: Path, data: Path) -> None:
    headless = plain_adapter(tmp_path / "headless", "roberta")
    with pytest.raises(ModelError, match="no masked-language-model head"):
        evaluate(headless, "crows_pairs", data=data, show_progress=False)
    assert not (headless / "evaluations").exists()
    classifier = tiny.build("bert", "sequence_classification")
    classifier.save_pretrained(tmp_path / "whole")
    tiny.character_tokenizer().save_pretrained(tmp_path / "whole")
    with pytest.raises(InputError, match="has a head for classes and no other"):
        evaluate(None, "bias", model=str(tmp_path / "whole"), data=data, show_progress=False)
    translator = tiny.build("t5", "seq2seq_lm")
    translator.save_pretrained(tmp_path / "t5")
    with pytest.raises(InputError, match="two stacks"):
        evaluate(None, "crows_pairs", model=str(tmp_path / "t5"), data=data, show_progress=False)


def test_every_mistake_of_every_benchmark_is_told_at_once(tmp_path: Path, data: Path) -> None:
    masked = pretrained_encoder(tmp_path / "masked")
    with pytest.raises(InputError) as told:
        evaluate(None, ["bold", "bbq"], model=str(masked), data=data, show_progress=False)
    assert "BOLD is for causal models, this one is masked" in str(told.value)
    assert "holds no file of bbq" in str(told.value)
    with pytest.raises(InputError, match="name the folder that holds crows_pairs/"):
        evaluate(None, "bias", model=str(masked), show_progress=False)
    with pytest.raises(InputError, match=r"bias\.decimals"):
        scoring_settings(["bias.decimals=many"])
    with pytest.raises(InputError, match=r"did you mean 'bias\.decimals'"):
        scoring_settings(["bias.decimal=3"])


def test_settings_without_bias_are_as_they_were() -> None:
    """So that results, and runs of studies, made before there were such suites keep their names."""
    assert "bias" not in scoring_settings([]).model_dump(mode="json")
    assert scoring_settings(["bias.decimals=2"]).model_dump()["bias"]["decimals"] == 2
