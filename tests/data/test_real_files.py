"""The room on the files people really have, with a real word-piece tokenizer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from transformers import AutoTokenizer

from balora.data import DataSettings, EncodedData, TextData, encode, load_text_data, preview
from balora.errors import DataError
from balora.task import IGNORED_LABEL
from tests.support.real import minilm_folder, real_path
from tests.support.tiny import character_tokenizer

pytestmark = pytest.mark.real


def load(train: str, task: str, **settings: Any) -> tuple[TextData, DataSettings]:
    name, bracket, rows = train.partition("[")
    data = DataSettings(train=f"{real_path(name)}{bracket}{rows}", **settings)
    return load_text_data(data, task), data


def with_minilm(text: TextData, settings: DataSettings) -> tuple[EncodedData, Any]:
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    return encode(text, tokenizer, settings, max_positions=512), tokenizer


def counts(text: TextData) -> dict[str, int]:
    assert text.label_names is not None
    found = Counter(example.label for example in text.train.examples)
    return {text.label_names[index]: count for index, count in found.items()}


def test_raw_cola_needs_nothing_but_its_preset() -> None:
    dev, ood = (str(real_path(f"data/cola/{name}_dev.tsv")) for name in ("in_domain", "out_of_domain"))
    text, settings = load("data/cola/in_domain_train.tsv", "classification", preset="cola", validation=dev, test=ood)
    assert (len(text.train), len(text.validation), len(text.test)) == (8551, 527, 516)
    assert counts(text) == {"acceptable": 6023, "unacceptable": 2528}
    assert text.metrics[0] == "matthews"
    encoded, tokenizer = with_minilm(text, settings)
    assert encoded.lengths["train"].rows_cut == 0
    assert encoded.train[0]["labels"] == 1
    assert "[CLS] our friends won" in preview(encoded, text, tokenizer)


def test_glue_sts_b_in_both_of_its_layouts() -> None:
    dev, test = (str(real_path(f"data/glue/STS-B/{name}")) for name in ("dev.tsv", "original/sts-test.tsv"))
    text, settings = load("data/glue/STS-B/train.tsv", "regression", preset="stsb", validation=dev, test=test)
    assert (len(text.train), len(text.validation), len(text.test)) == (5749, 1500, 1379)
    assert all(0 <= example.label <= 5 for example in (*text.train.examples, *text.test.examples))
    encoded, _ = with_minilm(text, settings)
    assert encoded.train[0]["labels"] == 5.0
    assert set(encoded.train[0]["token_type_ids"]) == {0, 1}


def test_sts_b_without_a_preset_is_recognised_by_its_columns() -> None:
    text, _ = load("data/glue/STS-B/train.tsv[:50]", "regression")
    assert text.format == "pair"
    assert text.train.examples[0].text_pair == "An air plane is taking off."


def test_mnli_keyed_by_row_number_follows_the_order_of_the_preset() -> None:
    dev = str(real_path("data/nli_qqp_10k/MNLI/dev.json"))
    text, settings = load("data/nli_qqp_10k/MNLI/train.json", "classification", preset="mnli", validation=dev)
    assert text.label_names == ("entailment", "neutral", "contradiction")
    assert counts(text) == {"entailment": 3061, "neutral": 2980, "contradiction": 2958}
    assert text.train.examples[7].place.endswith('MNLI/train.json["7"]')
    encoded, _ = with_minilm(text, settings)
    assert len(encoded.validation) == 1000


@pytest.mark.parametrize(("name", "preset"), [("QNLI", "qnli"), ("QQP", "qqp"), ("SNLI", "snli")])
def test_the_other_samples_keyed_by_row_number(name: str, preset: str) -> None:
    text, _ = load(f"data/nli_qqp_10k/{name}/train.json", "classification", preset=preset)
    assert len(text.train) == 8999


@pytest.mark.parametrize(
    ("name", "preset", "task"),
    [
        (name, name.lower().replace("-", ""), "classification")
        for name in ("CoLA", "MRPC", "QNLI", "QQP", "RTE", "SST-2")
    ]
    + [("MNLI", "mnli", "classification"), ("STS-B", "stsb", "regression")],
)
def test_the_original_glue_layouts(name: str, preset: str, task: str) -> None:
    text, _ = load(f"data/glue_16shot/{name}/train.tsv", task, preset=preset)
    assert text.train.rows_dropped == 0
    if task == "classification":
        assert set(Counter(example.label for example in text.train.examples).values()) == {16}


def test_raw_snli_has_lines_that_are_too_wide() -> None:
    with pytest.raises(DataError, match=r"SNLI/train\.tsv:2: 15 fields, but the header has 11"):
        load("data/glue_16shot/SNLI/train.tsv", "classification", preset="snli")
    text, _ = load("data/glue_16shot/SNLI/train.tsv", "classification", preset="snli", on_bad_row="drop")
    assert (len(text.train), text.train.rows_dropped) == (45, 3)


def test_sick_serves_both_tasks() -> None:
    classes, _ = load("data/sick/SICK.txt", "classification", preset="sick")
    assert counts(classes) == {"neutral": 5595, "entailment": 2821, "contradiction": 1424}
    scores, settings = load("data/sick/SICK.txt[:300]", "regression", preset="sick", validation=0.1)
    assert (len(scores.train), len(scores.validation)) == (270, 30)
    encoded, _ = with_minilm(scores, settings)
    assert encoded.train[0]["labels"] == 4.5


def test_gsm8k() -> None:
    text, settings = load("data/gsm8k/train.jsonl[:400]", "generation", validation=0.1, max_length=2000)
    assert text.format == "query_response"
    tokenizer = character_tokenizer()
    tokenizer.model_max_length = 4000
    encoded = encode(text, tokenizer, settings)
    assert len(encoded.train) == 360
    for row in encoded.train.select(range(20)):
        example = text.train.examples[row["row"]]
        learned = [label for label in row["labels"] if label != IGNORED_LABEL]
        written = tokenizer.decode(tokenizer(example.response)["input_ids"])
        assert tokenizer.decode(learned) == f"{written}</s>"


def test_gsm8k_loses_no_answer_silently() -> None:
    text, settings = load("data/gsm8k/train.jsonl[:200]", "generation", max_length=300)
    tokenizer = character_tokenizer()
    tokenizer.model_max_length = 4000
    with pytest.raises(DataError, match=r"\d+ of 200 rows have no answer token left at max_length 300"):
        encode(text, tokenizer, settings)


def test_code_alpaca_has_two_empty_answers() -> None:
    with pytest.raises(DataError, match=r"code_alpaca_2k\.json\[237\]: 'output' is empty") as error:
        load("data/code_alpaca/code_alpaca_2k.json", "generation")
    assert len(error.value.problems) == 2
    text, _ = load("data/code_alpaca/code_alpaca_2k.json", "generation", on_bad_row="drop")
    assert (text.format, len(text.train), text.train.rows_dropped) == ("alpaca", 2015, 2)
    assert "### Input:\n" in text.train.examples[0].prompt


def test_packed_human_eval() -> None:
    columns = {"prompt": "prompt", "completion": "canonical_solution"}
    text, _ = load("data/humaneval/HumanEval.jsonl.gz", "generation", columns=columns)
    assert len(text.train) == 164
    # The prompts end in a line end of their own, so nothing comes between prompt and solution.
    assert not any(example.prompt.endswith("\n\n") for example in text.train.examples)


def test_mbpp_with_carriage_returns() -> None:
    columns = {"response": "code"}
    text, _ = load("data/mbpp/mbpp.jsonl", "generation", columns=columns, template="# {text}\n")
    assert len(text.train) == 974
    assert text.train.examples[0].prompt.startswith("# Write a function to find the minimum cost path")
    assert text.train.examples[973].place.endswith("mbpp.jsonl:974")


def test_labelled_sentences_by_position_and_by_preset() -> None:
    name = "data/labelled_sentences/yelp_labelled.txt"
    by_position, _ = load(name, "classification", columns={"text": 0, "label": 1})
    by_preset, _ = load(name, "classification", preset="sst2")
    assert len(by_position.train) == len(by_preset.train) == 1000
    assert by_position.train.examples == by_preset.train.examples
    assert (by_position.label_names, by_preset.label_names) == (("0", "1"), ("negative", "positive"))


def test_long_reviews_are_cut_and_counted() -> None:
    columns = {"text": "ori"}
    text, settings = load("data/long_reviews/yelp_review/test.json", "classification", columns=columns, max_length=128)
    assert text.label_names == ("0", "1", "2", "3", "4")
    encoded, _ = with_minilm(text, settings)
    cut = encoded.lengths["train"].rows_cut
    assert 0 < cut < 1000
    assert sum(len(row) == 128 for row in encoded.train["input_ids"][:]) >= cut
    assert f"train: {cut} of 1000 rows are longer than 128 tokens and cut" in encoded.notes


def test_plain_text_files() -> None:
    text, _ = load("data/tinystories_sample/tiny_stories.txt[:100]", "generation")
    assert (text.format, len(text.train)) == ("text", 100)


def test_two_answers_are_not_guessed() -> None:
    with pytest.raises(DataError, match=r"'response' could be 'answer' or 'solution'"):
        load("data/math500/test_ori.jsonl", "generation")
