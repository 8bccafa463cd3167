from __future__ import annotations

import json

import pytest

from balora.data import DataSettings, TextData, encode, load_text_data
from balora.errors import DataError
from balora.task import IGNORED_LABEL
from tests.data.conftest import Load, Write
from tests.data.tokenizer_kinds import SlowTokenizer, sentence_pieces
from tests.support.tiny import character_tokenizer

TOKENIZER = character_tokenizer()
PAIRS = [{"prompt": f"question {i} ", "completion": "answer " * (i + 1)} for i in range(8)]
SETTINGS = DataSettings(train="unused", max_length=50)


def test_columns_and_rows(load: Load) -> None:
    encoded = encode(load(PAIRS, validation=0.25), TOKENIZER, SETTINGS)
    assert set(encoded.train.column_names) == {"input_ids", "attention_mask", "labels", "row"}
    assert encoded.train["row"][:] == list(range(6))
    assert encoded.validation["row"][:] == [0, 1]
    assert encoded.test is None
    assert encoded.split("validation") is encoded.validation


def test_rows_point_to_their_examples_when_some_are_left_out(load: Load) -> None:
    text = load(PAIRS)
    encoded = encode(text, TOKENIZER, DataSettings(train="x", max_length=30, too_long="drop"))
    assert len(encoded.train) < len(text.train)
    for row, source in zip(encoded.train, encoded.source_rows["train"], strict=True):
        learned = [label for label in row["labels"] if label != IGNORED_LABEL]
        assert TOKENIZER.decode(learned, skip_special_tokens=True) == text.train.examples[source].response


def test_labels_of_the_three_tasks(load: Load) -> None:
    classes = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    scores = [{"text": "a", "score": 1}, {"text": "b", "score": 2.5}]
    assert encode(load(classes, "classification"), TOKENIZER, SETTINGS).train["labels"][:] == [0, 1]
    assert encode(load(scores, "regression"), TOKENIZER, SETTINGS).train["labels"][:] == [1.0, 2.5]
    row = encode(load(PAIRS), TOKENIZER, SETTINGS).train[0]
    assert len(row["labels"]) == len(row["input_ids"])


def test_an_unlabelled_test_split_has_no_labels(write: Write) -> None:
    settings = DataSettings(
        train=write("a.csv", "text,label\na,0\nb,1\n"), test=write("b.csv", "text,label\nc,-1\nd,-1\n")
    )
    encoded = encode(load_text_data(settings, "classification"), TOKENIZER, settings)
    assert "labels" not in encoded.test.column_names
    assert "labels" in encoded.train.column_names


def fingerprint(load: Load, rows: list[dict[str, object]], **changes: object) -> str:
    settings = DataSettings(train="x", **{"max_length": 50, **changes})
    return encode(load(rows), TOKENIZER, settings).fingerprint


def test_the_fingerprint_sees_tokens_labels_and_order_and_nothing_else(load: Load) -> None:
    base = fingerprint(load, PAIRS)
    assert fingerprint(load, PAIRS) == base
    assert fingerprint(load, [{"note": "new column", **row} for row in PAIRS]) == base
    assert fingerprint(load, PAIRS[::-1]) != base
    assert fingerprint(load, PAIRS, learn_on="all") != base
    assert fingerprint(load, PAIRS, max_length=40) != base
    assert len(base) == 64


def test_plain_text_learns_everything(load: Load) -> None:
    row = encode(load([{"text": "Once upon a time."}]), sentence_pieces(), SETTINGS).train[0]
    assert row["labels"] == row["input_ids"]


def test_lengths_and_cuts_are_reported(load: Load) -> None:
    encoded = encode(load(PAIRS), TOKENIZER, SETTINGS, max_positions=40)
    assert encoded.max_length == 40
    assert encoded.lengths["train"].rows == 8
    cut = encoded.lengths["train"].rows_cut
    assert cut == sum(len(row["prompt"] + row["completion"]) + 1 > 40 for row in PAIRS) > 0
    assert encoded.notes == (
        "max_length is 40 instead of 50: the model's positions allow no more",
        f"train: {cut} of 8 rows are longer than 40 tokens and cut",
    )


def test_problems_of_all_splits_come_at_once(load: Load) -> None:
    long = [{"prompt": "q" * 60, "completion": "a"}] * 4
    with pytest.raises(DataError) as error:
        encode(load(long, validation=0.5), TOKENIZER, SETTINGS)
    assert [problem.where for problem in error.value.problems] == ["train", "validation"]


def test_leaving_everything_out_is_refused(load: Load) -> None:
    settings = DataSettings(train="x", max_length=5, too_long="drop")
    with pytest.raises(DataError, match=r"train: every row is longer than 5 tokens and left out"):
        encode(load(PAIRS), TOKENIZER, settings)


def test_what_a_tokenizer_lacks_is_noted(load: Load) -> None:
    endless = character_tokenizer()
    endless.eos_token = None
    assert "will not learn to stop" in encode(load(PAIRS[:1]), endless, SETTINGS).notes[0]
    assert "tokenized apart" in encode(load(PAIRS[:1]), SlowTokenizer(), SETTINGS).notes[0]


def test_encoding_leaves_the_tokenizer_as_it_was(load: Load) -> None:
    tokenizer = character_tokenizer()
    before = tokenizer("a long text " * 9)["input_ids"]
    encode(load([{"text": "x " * 99, "label": i % 2} for i in range(2)], "classification"), tokenizer, SETTINGS)
    assert tokenizer("a long text " * 9)["input_ids"] == before


def test_a_large_file_is_encoded_in_batches(load: Load) -> None:
    rows = [{"prompt": f"{i} ", "completion": str(i)} for i in range(2500)]
    encoded = encode(load(rows), TOKENIZER, SETTINGS)
    assert encoded.lengths["train"].rows == 2500
    learned = [label for label in encoded.train[2400]["labels"] if label != IGNORED_LABEL]
    assert TOKENIZER.decode(learned, skip_special_tokens=True) == "2400"


def text_of(write: Write) -> TextData:
    rows = "".join(json.dumps(row) + "\n" for row in PAIRS)
    return load_text_data(DataSettings(train=write("a.jsonl", rows)), "generation")


def test_encoder_decoder_keeps_source_and_target_apart(write: Write) -> None:
    encoded = encode(text_of(write), TOKENIZER, SETTINGS, encoder_decoder=True)
    assert encoded.encoder_decoder
    row = encoded.train[0]
    assert TOKENIZER.decode(row["input_ids"]) == "question 0 "
    assert TOKENIZER.decode(row["labels"]) == "answer </s>"
