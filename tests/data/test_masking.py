from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.data.masking import TokenRow, learned_tokens, stopping_at, surrounding_tokens, tokenize_spans
from balora.task import IGNORED_LABEL
from tests.data.tokenizer_kinds import KINDS, byte_level, sentence_pieces
from tests.support.tiny import character_tokenizer

TOKENIZERS: dict[str, Any] = {}


def tokenizer(kind: str) -> Any:
    if kind not in TOKENIZERS:
        TOKENIZERS[kind] = KINDS[kind]()
    return TOKENIZERS[kind]


def row(prompt: str, response: str, kind: str) -> TokenRow:
    spans = [[(len(prompt), len(prompt + response))]]
    return tokenize_spans(tokenizer(kind), [prompt + response], spans, add_special_tokens=True)[0]


words = st.lists(st.sampled_from(["hello", "the ", " quick", "\n", "\n\n", "  ", "é", "東京", "###", ":", "1 + 1"]))
texts = words.map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(prompt=texts, response=texts.filter(str.strip))
@settings(max_examples=60)
def test_the_mask_changes_no_token(kind: str, prompt: str, response: str) -> None:
    tokens = row(prompt, response, kind)
    assert len(tokens.ids) == len(tokens.learned)
    if kind != "slow":
        assert tokens.ids.tolist() == tokenizer(kind)(prompt + response)["input_ids"]
    assert np.array_equal(tokens.labels[tokens.learned], tokens.ids[tokens.learned])
    assert set(tokens.labels[~tokens.learned].tolist()) <= {IGNORED_LABEL}


@pytest.mark.parametrize("kind", ["byte_level", "trimmed_offsets"])
@given(prompt=texts, response=texts.filter(str.strip))
@settings(max_examples=100)
def test_learned_tokens_decode_to_the_response_or_to_it_and_what_straddles(
    kind: str, prompt: str, response: str
) -> None:
    """Byte-level tokens decode without loss, so nothing of the response may be missing and little may be added."""
    tokens = row(prompt, response, kind)
    decode = tokenizer(kind).decode
    learned = decode(tokens.ids[tokens.learned].tolist())
    assert learned.endswith(response)
    rest = decode(tokens.ids[~tokens.learned].tolist())
    assert rest + learned == prompt + response
    straddling = len(learned) - len(response)
    if straddling:
        first = tokens.ids[tokens.learned][0]
        assert straddling < len(decode([int(first)]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_clear_boundary_is_met_exactly(kind: str) -> None:
    tokens = row("### Response:", "\nhello world", kind)
    decoded = tokenizer(kind).convert_ids_to_tokens(tokens.ids.tolist())
    learned = [token for token, is_learned in zip(decoded, tokens.learned, strict=True) if is_learned]
    assert "".join(learned).lstrip("\nĊ▁Ġ")[:2] in ("he", "ö") or kind == "slow"
    assert tokens.learned[-1]
    assert not tokens.learned[0]


def test_a_straddling_token_counts_as_response() -> None:
    fast = byte_level()
    whole = fast("hello", add_special_tokens=False)["input_ids"]
    assert len(whole) < 5, "the tokenizer no longer merges, so this test would prove nothing"
    tokens = tokenize_spans(fast, ["hello"], [[(1, 5)]], add_special_tokens=False)[0]
    assert tokens.learned.all()


def test_bytes_of_one_character_stay_together() -> None:
    fast = sentence_pieces()
    tokens = tokenize_spans(fast, ["hello 東京"], [[(6, 8)]], add_special_tokens=False)[0]
    learned = fast.convert_ids_to_tokens(tokens.ids[tokens.learned].tolist())
    assert len(learned) == 6
    assert all(token.startswith("<0x") for token in learned)


@pytest.mark.parametrize("kind", ["sentence_pieces", "slow"])
def test_the_beginning_token_is_there_once_and_not_learned(kind: str) -> None:
    tokens = row("", "hello", kind)
    assert tokens.ids.tolist().count(tokenizer(kind).bos_token_id) == 1
    assert tokens.ids[0] == tokenizer(kind).bos_token_id
    assert tokens.learned.tolist() == [False] + [True] * (len(tokens.ids) - 1)


def test_several_spans() -> None:
    text = "ab cd ef"
    tokens = tokenize_spans(character_tokenizer(), [text], [[(0, 2), (6, 8)]], add_special_tokens=False)[0]
    assert tokens.learned.tolist() == [True, True, False, False, False, False, True, True]


def test_tokens_around_the_text_are_never_learned() -> None:
    offsets = np.array([[0, 0], [0, 3], [3, 4], [4, 4], [0, 0]])
    added = np.array([1, 0, 0, 0, 1])
    assert learned_tokens(offsets, added, [(0, 4)]).tolist() == [False, True, True, True, False]


def test_trimmed_white_space_belongs_to_the_side_it_stands_on() -> None:
    # "ab  cd": two trimmed blanks end at 3 and 4; the response begins at 3.
    offsets = np.array([[0, 2], [3, 3], [4, 4], [4, 6]])
    assert learned_tokens(offsets, np.zeros(4), [(3, 6)]).tolist() == [False, False, True, True]
    # "  ab" without a prompt: the first blank is trimmed to the very beginning.
    offsets = np.array([[0, 0], [2, 4]])
    assert learned_tokens(offsets, np.zeros(2), [(0, 4)]).tolist() == [True, True]


def test_what_a_tokenizer_puts_around_a_text() -> None:
    assert surrounding_tokens(tokenizer("slow")) == ([0], [])
    assert surrounding_tokens(tokenizer("byte_level")) == ([], [])
    assert surrounding_tokens(sentence_pieces()) == ([0], [])


def make(ids: list[int], learned: list[int]) -> TokenRow:
    return TokenRow(np.array(ids), np.array(learned, dtype=bool))


def test_the_end_token_is_learned_and_never_doubled() -> None:
    for ids in ([5, 6], [5, 6, 2]):
        ended = make(ids, [0, 1, 0][: len(ids)]).ending_with(2)
        assert ended.ids.tolist() == [5, 6, 2]
        assert ended.learned.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("ids", "learned", "expected"),
    [
        ([7, 2, 8, 9], [1, 1, 1, 1], [1, 1, 0, 0]),
        ([7, 2, 8, 5, 7, 2, 8], [1, 1, 1, 0, 1, 1, 1], [1, 1, 0, 0, 1, 1, 0]),
        ([2, 7, 8], [0, 1, 1], [0, 1, 1]),
        ([7, 8], [1, 1], [1, 1]),
    ],
)
def test_nothing_is_learned_behind_an_end_token(ids: list[int], learned: list[int], expected: list[int]) -> None:
    assert stopping_at(make(ids, learned), 2).learned.astype(int).tolist() == expected


@pytest.mark.parametrize(("learned", "has"), [([1, 0, 0], False), ([0, 0, 1], True), ([0, 0, 0], False), ([], False)])
def test_the_first_token_cannot_be_predicted(learned: list[int], has: bool) -> None:
    assert make([5] * len(learned), learned).has_answer is has


def test_batches_do_not_change_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    all_texts = [f"text number {i} hello" for i in range(7)]
    spans: list[list[tuple[int, int]]] = [[(4, len(text))] for text in all_texts]
    run: Callable[[], list[TokenRow]] = lambda: tokenize_spans(  # noqa: E731
        tokenizer("byte_level"), all_texts, spans, add_special_tokens=True
    )
    whole = run()
    monkeypatch.setattr("balora.data.masking.BATCH_ROWS", 3)
    parts = run()
    assert [(r.ids.tolist(), r.learned.tolist()) for r in whole] == [
        (r.ids.tolist(), r.learned.tolist()) for r in parts
    ]
