from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data import DataSettings, SplitLengths
from balora.data.masking import TokenRow
from balora.data.truncation import length_limit, shorten
from tests.support.tiny import character_tokenizer

BOS = 1


def row(prompt: int, response: int, bos: bool = True) -> TokenRow:
    """Prompt tokens 100, 101, ..., response tokens 200, 201, ..."""
    ids = [BOS] * bos + [100 + i for i in range(prompt)] + [200 + i for i in range(response)]
    return TokenRow(np.array(ids), np.array([token >= 200 for token in ids]))


sizes = st.integers(0, 12)


@given(sizes, sizes, st.booleans(), st.integers(2, 15))
def test_cutting_at_the_end_keeps_the_beginning(prompt: int, response: int, bos: bool, limit: int) -> None:
    whole = row(prompt, response, bos)
    cut = shorten(whole, limit, keep_prompt_end=False, first_id=BOS)
    assert cut.ids.tolist() == whole.ids[:limit].tolist()
    assert cut.learned.tolist() == whole.learned[:limit].tolist()


@given(sizes, st.integers(1, 12), st.booleans(), st.integers(2, 15))
def test_cutting_the_prompt_spares_the_response_and_the_first_token(
    prompt: int, response: int, bos: bool, limit: int
) -> None:
    whole = row(prompt, response, bos)
    cut = shorten(whole, limit, keep_prompt_end=True, first_id=BOS)
    kept_prompt = [token for token in cut.ids.tolist() if 100 <= token < 200]
    kept_response = [token for token in cut.ids.tolist() if token >= 200]
    assert len(cut.ids) == min(limit, len(whole.ids))
    assert (cut.ids[0] == BOS) == bos
    assert kept_response == [200 + i for i in range(min(response, limit - bos))]
    assert kept_prompt == [100 + i for i in range(prompt)][prompt - len(kept_prompt) :]
    assert cut.learned.tolist() == [token >= 200 for token in cut.ids]


@given(st.lists(st.integers(0, 50), min_size=1))
def test_percentiles_are_lengths_that_occur(lengths: list[int]) -> None:
    found = SplitLengths.of(lengths, 0, 0)
    assert {found.p50_tokens, found.p95_tokens, found.max_tokens} <= set(lengths)
    assert sum(length <= found.p50_tokens for length in lengths) >= len(lengths) / 2
    assert sum(length <= found.p95_tokens for length in lengths) >= 0.95 * len(lengths)
    assert found.max_tokens == max(lengths)


def test_no_rows_have_length_zero() -> None:
    assert SplitLengths.of([], 0, 0).max_tokens == 0


@pytest.mark.parametrize(
    ("asked", "positions", "tokenizer_limit", "limit", "reason"),
    [
        (50, None, 64, 50, None),
        (512, None, 64, 64, "the tokenizer's model_max_length"),
        (512, 32, 64, 32, "the model's positions"),
        (512, None, 10**30, 512, None),
        (512, None, None, 512, None),
        (512, None, -1, 512, None),
    ],
)
def test_the_smallest_limit_holds_and_says_why(
    asked: int, positions: int | None, tokenizer_limit: int | None, limit: int, reason: str | None
) -> None:
    tokenizer = character_tokenizer()
    tokenizer.model_max_length = tokenizer_limit
    found, notes = length_limit(DataSettings(train="a", max_length=asked), tokenizer, positions)
    assert found == limit
    assert [reason in note for note in notes] == ([True] if reason else [])
