"""Label words: a labelled data set as prompts and the words of its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from balora.data import load_text_data
from balora.data.examples import Conversation, PromptedText, TextData
from balora.data.settings import DataSettings
from balora.errors import DataError

PAIRS = "sentence1\tsentence2\tlabel\nA man.\tA person.\tentailment\nA man.\tNo one.\tnot_entailment\n"
SINGLES = "sentence\tlabel\nGreat.\t1\nPoor {x}.\t0\n"


def read(folder: Path, content: str, **settings: Any) -> TextData:
    file = folder / "train.tsv"
    file.write_text(content)
    return load_text_data(DataSettings(train=str(file), **{"label_words": "names", **settings}), "generation")


def pairs_of(data: TextData) -> list[tuple[str, str]]:
    return [(row.prompt, row.response) for row in data.train.examples if isinstance(row, PromptedText)]


def test_a_preset_s_prompts_and_words_are_those_of_t5(tmp_path: Path) -> None:
    assert pairs_of(read(tmp_path, PAIRS, preset="RTE")) == [
        ("rte sentence1: A man. sentence2: A person.\n", "entailment"),
        ("rte sentence1: A man. sentence2: No one.\n", "not_entailment"),
    ]
    assert pairs_of(read(tmp_path, SINGLES, preset="sst-2")) == [
        ("sst2 sentence: Great.\n", "positive"),
        ("sst2 sentence: Poor {x}.\n", "negative"),
    ]
    inference = "premise\thypothesis\tlabel\nP.\tH.\tneutral\nP.\tG.\tcontradiction\nP.\tF.\tentailment\n"
    assert pairs_of(read(tmp_path, inference, preset="mnli"))[0] == ("mnli hypothesis: H. premise: P.\n", "neutral")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("names", ["1", "0"]),
        (["bad", "good"], ["good", "bad"]),
        ({"1": "yes", "0": "no"}, ["yes", "no"]),
    ],
    ids=str,
)
def test_words_stand_for_classes(words: Any, expected: list[str], tmp_path: Path) -> None:
    data = read(tmp_path, SINGLES, label_words=words)
    assert [response for _, response in pairs_of(data)] == expected
    assert data.label_words == tuple(reversed(expected))
    assert (data.task, data.label_names, data.metrics) == ("generation", None, ("exact_match",))


def test_templates(tmp_path: Path) -> None:
    own = read(tmp_path, PAIRS, template="Does {text} mean {text_pair}? ")
    assert pairs_of(own)[0] == ("Does A man. mean A person.? ", "entailment")
    assert pairs_of(read(tmp_path, PAIRS, template="plain"))[0][0] == "A man.\nA person.\n"
    assert "### Instruction:\nrte sentence1" in pairs_of(read(tmp_path, PAIRS, preset="rte", template="alpaca"))[0][0]
    chat = read(tmp_path, SINGLES, preset="sst2", template="chat").train.examples[0]
    assert isinstance(chat, Conversation)
    assert [message.content for message in chat.messages] == ["sst2 sentence: Great.", "positive"]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (SINGLES, {"label_words": ["good"]}, r"1 words for 2 classes \(0, 1\)"),
        (SINGLES, {"label_words": ["good", " good "]}, "do not tell the classes apart"),
        (SINGLES, {"label_words": ["good", ""]}, "do not tell the classes apart"),
        (PAIRS, {"label_words": {"entailment": "yes"}}, "no word for the class not_entailment"),
        (PAIRS, {"label_words": {"entailment": "yes", "not_entailmnt": "no"}}, "did you mean 'not_entailment'"),
        (PAIRS, {"template": "{text} implies "}, r"leaves out \{text_pair\}, so the model would never see it"),
        (SINGLES, {"template": "{text} and {text_pair}"}, r"\{text_pair\} is not one of the texts"),
        (SINGLES, {"preset": "stsb"}, "regression task"),
        (SINGLES, {"format": "alpaca"}, "'alpaca' is not for generation; use sentence, pair or auto"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(content: str, settings: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, **settings)


def test_words_are_for_generation_and_presets_need_them(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text(SINGLES)
    with pytest.raises(DataError, match="words are what a language model writes, and task is classification"):
        load_text_data(DataSettings(train=str(file), label_words="names"), "classification")
    with pytest.raises(DataError, match=r"set data\.label_words: names to let the model write the class"):
        load_text_data(DataSettings(train=str(file), preset="sst2"), "generation")


def test_a_test_split_without_labels_is_left_out(tmp_path: Path) -> None:
    test = tmp_path / "test.tsv"
    test.write_text("index\tsentence\n0\tWho knows.\n")
    data = read(tmp_path, SINGLES, preset="sst2", test=str(test))
    assert data.test is None
    assert any("the test split has no labels" in note for note in data.notes)


def test_held_out_rows_keep_their_classes(tmp_path: Path) -> None:
    rows = "".join(f"Row {n}.\t{n % 2}\n" for n in range(20))
    data = read(tmp_path, "sentence\tlabel\n" + rows, preset="sst2", validation=0.2)
    assert data.validation is not None
    held_out = [row.response for row in data.validation.examples if isinstance(row, PromptedText)]
    assert sorted(held_out) == ["negative", "negative", "positive", "positive"]
