"""The model card: loadable code, honest scores, nothing of the machine, nothing unescaped."""

from __future__ import annotations

import ast

import pytest
from ruamel.yaml import YAML

from balora.artefacts import QuantizedBase, model_card, regularizers_in_words
from balora.artefacts.card import LONGEST_TEXT
from tests.support.payloads import PAYLOADS, on_one_line, seen


def card(**changes: object) -> str:
    values: dict[str, object] = {
        "base_name": "org/model",
        "task": "classification",
        "method": "pissa",
        "regularizers": "none",
        "parameters": "3 of 9 parameters train",
        "results": {"eval_accuracy": 0.5},
        "label_names": ("a", "b"),
    }
    return model_card(**{**values, **changes})  # type: ignore[arg-type]


def code_in(text: str) -> str:
    return text.split("```python\n")[1].split("```")[0]


def test_the_loading_code_is_python_with_the_right_class() -> None:
    for task, loader in (("classification", "SequenceClassification"), ("generation", "CausalLM")):
        ast.parse(code_in(card(task=task)))
        assert f"AutoModelFor{loader}" in code_in(card(task=task))
    assert "AutoModelForSeq2SeqLM" in code_in(card(task="generation", encoder_decoder=True))
    assert "num_labels=2" in code_in(card())
    assert "peft" not in code_in(card(method="full")).lower()


def test_the_loading_code_names_the_base_as_the_adapter_does() -> None:
    text = card(base_name="~/models/tiny", base_path="/home/someone/models/tiny")
    assert 'from_pretrained("/home/someone/models/tiny"' in code_in(text)
    assert 'base_model: "tiny"' in text
    assert "# tiny fine-tuned" in text
    assert 'from_pretrained("org/model"' in code_in(card())


def test_bottlenecks_are_loaded_by_balora_and_no_other_library_is_named() -> None:
    text = card(method="houlsby")
    assert "from balora import load_bottlenecks" in code_in(text)
    assert "peft" not in text.lower()
    assert "library_name: balora" in text
    assert "- lora\n" not in card(method="bitfit")
    assert "PeftModel" in code_in(card(method="bitfit"))


def test_each_split_has_its_own_scores() -> None:
    text = card(results={"eval_accuracy": 0.5, "test_accuracy": 0.25})
    validation, test = text.split("## Scores on the validation split")[1].split("## Scores on the test split")
    assert "| eval_accuracy | 0.5000 |" in validation
    assert "test_accuracy" not in validation
    assert "| test_accuracy | 0.2500 |" in test
    assert "validation split" not in card(results={"test_accuracy": 0.25})


def test_names_from_data_cannot_break_out() -> None:
    text = card(label_names=("<script>alert(1)</script>", "a|b"), base_name='x"\ny')
    assert "<script>" not in text
    assert "a\\|b" in text
    ast.parse(code_in(text))


def test_no_score_is_said() -> None:
    assert "No score was computed." in card(results={})


def test_a_weight_penalty_is_named() -> None:
    weights = {"consistency_weight": 0.0, "diversity_weight": 0.0, "spectral_weight": 0.0}
    assert regularizers_in_words({**weights, "weight_penalty": 0.1}) == "weight penalty 0.1"
    assert regularizers_in_words({**weights, "weight_penalty": 0.0}) == "none"


def test_weights_in_words() -> None:
    weights = {"consistency_weight": 0.025, "diversity_weight": 0.005, "spectral_weight": 0.0}
    assert regularizers_in_words(weights) == "consistency 0.025, diversity 0.005, spectral 0"
    assert regularizers_in_words(dict.fromkeys(weights, 0.0)) == "none"


def test_a_quantized_base_is_explained_and_loaded_as_it_was() -> None:
    base = QuantizedBase("Trained in four bits.", ", quantization_config=Four()", "from package import Four")
    card = model_card(
        base_name="org/m",
        task="generation",
        method="pissa",
        regularizers="none",
        parameters="p",
        results={},
        quantized=base,
    )
    assert "Trained in four bits." in card
    assert "from package import Four" in card
    assert 'from_pretrained("org/m", quantization_config=Four())' in card


FIELDS = ["base_name", "base_path", "method", "regularizers", "parameters", "results", "label_names"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_card_shows_every_payload_as_text(field: str) -> None:
    """R20 for what is Markdown: read back by a parser as a browser would."""
    for payload in PAYLOADS:
        text = card(**{field: {"results": {f"eval_{payload}": 0.5}, "label_names": (payload, "b")}.get(field, payload)})
        _, header, body = text.split("---\n", 2)
        page = seen(body)
        assert page.tags <= {"h1", "h2", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}, payload
        assert [pair for pair in page.attributes if pair != ("class", "language-python")] == []
        if field not in {"base_name", "base_path"} and len(payload) < LONGEST_TEXT:
            assert on_one_line(payload) in " ".join(page.text.split()), payload
        metadata = YAML(typ="safe", pure=True).load(header)
        assert set(metadata) == {"base_model", "library_name", "tags"}
        if "\ud800" not in payload:
            ast.parse(body.split("```python\n")[1].split("\n```")[0])
