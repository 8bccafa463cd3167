from __future__ import annotations

from typing import Any

import pytest

from balora.data import DataSettings, LabelledText, TextSplit
from balora.data.encode_labelled import encode_labelled
from balora.errors import DataError
from tests.data.tokenizer_kinds import sentence_pieces
from tests.support.tiny import character_tokenizer


def encode(examples: list[LabelledText], limit: int = 64, tokenizer: Any = None, **changes: object) -> Any:
    settings = DataSettings(train="f", **changes)
    split = TextSplit("train", tuple(examples), len(examples), 0)
    return encode_labelled(split, tokenizer or character_tokenizer(), settings, limit)


def sentence(text: str, label: object = 1) -> LabelledText:
    return LabelledText(f"f:{len(text)}", text, None, label)


def test_texts_and_labels() -> None:
    found = encode([sentence("ab", 1), sentence("c", None)])
    assert [len(row.ids) for row in found.rows] == [2, 1]
    assert found.rows[0].labels.item() == 1
    assert found.rows[1].labels is None


def test_the_longer_text_of_a_pair_is_cut_first() -> None:
    for first, second, kept in ((20, 4, (6, 4)), (4, 20, (4, 6))):
        found = encode([LabelledText("f:1", "a" * first, "b" * second, 0)], limit=10)
        text = character_tokenizer().decode(found.rows[0].ids)
        assert (text.count("a"), text.count("b")) == kept
    assert (found.lengths.max_tokens, found.lengths.rows_cut) == (24, 1)


def test_special_tokens_survive_the_cut() -> None:
    found = encode([sentence("hello world again")], limit=4, tokenizer=sentence_pieces())
    assert len(found.rows[0].ids) == 4
    assert found.rows[0].ids[0] == sentence_pieces().bos_token_id


def test_rows_within_the_limit_stay_as_they_are() -> None:
    rows = [sentence("abc"), sentence("abcdef"), sentence("abcd")]
    cut = encode(rows, limit=4).rows
    assert [row.ids.tolist() for row in cut] == [row.ids.tolist()[:4] for row in encode(rows).rows]


def test_long_rows_are_left_out_or_refused_when_asked() -> None:
    rows = [sentence("abc"), sentence("abcdef"), sentence("ab")]
    dropped = encode(rows, limit=4, too_long="drop")
    assert dropped.source_rows == [0, 2]
    assert dropped.lengths.rows_dropped == 1
    refused = encode(rows, limit=4, too_long="error")
    assert "1 of 3 rows are longer than 4 tokens (first: f:6)" in str(refused.problems[0])


def test_a_limit_without_room_for_text_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.max_length: 1 tokens hold no text: 1 of them are special tokens"):
        encode([sentence("a")], limit=1, tokenizer=sentence_pieces())


def test_types_tell_the_two_texts_apart() -> None:
    tokenizer = character_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    found = encode([LabelledText("f:1", "ab", "cd", 0)], tokenizer=tokenizer)
    assert found.rows[0].type_ids.tolist() == [0, 0, 1, 1]
