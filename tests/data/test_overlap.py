"""Rows that two splits share are found, word for word or in large part, and named by their places."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from balora.data import Conversation, LabelledText, Message, PromptedText
from balora.data.examples import Example
from balora.data.overlap import WORDS_PER_SEQUENCE, normalised, overlap_of
from balora.data.prompts import alpaca_prompt

WORDS = [f"word{number}" for number in range(2000)]


def story(seed: int, length: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def texts(*each: str, file: str = "f") -> list[Example]:
    return [LabelledText(f"{file}:{row}", text, None, 0) for row, text in enumerate(each, start=1)]


def test_case_punctuation_and_spacing_do_not_hide_a_copy() -> None:
    found = overlap_of(texts("The cat sat."), texts("a dog", "the  CAT, sat", file="g"))
    assert found.exact == (("g:2", "f:1"),)
    assert found.note("test") == "1 of 2 test rows also occur in train: g:2 as f:1"
    assert overlap_of(texts("The cat sat."), texts("The cat sits.")).note("test") is None


def test_labels_and_responses_are_not_compared() -> None:
    train = [PromptedText("a", "What is 2?", "two"), PromptedText("b", "", "only text")]
    assert overlap_of(train, [PromptedText("c", "what is 2", "2")]).exact == (("c", "a"),)
    assert overlap_of(train, [PromptedText("d", "", "Only text!")]).exact == (("d", "b"),)
    asked = (Message("user", "What is 3?"), Message("assistant", "3"))
    other = (Message("user", "what is 3"), Message("assistant", "three"))
    assert overlap_of([Conversation("e", asked)], [Conversation("f", other)]).exact == (("f", "e"),)


def test_a_pair_overlaps_only_as_a_pair() -> None:
    train = [LabelledText("a", "one", "two", 0)]
    assert overlap_of(train, [LabelledText("b", "one", "three", 0)]).count == 0
    assert overlap_of(train, [LabelledText("b", "One", "Two", 1)]).count == 1


def test_a_question_is_found_behind_its_alpaca_frame() -> None:
    train = [PromptedText("a", alpaca_prompt("How many legs?"), "4")]
    assert overlap_of(train, [PromptedText("b", "How many legs?", "")]).exact == (("b", "a"),)


def test_a_long_text_inside_a_training_row_is_contained() -> None:
    train = texts(story(1), story(2) + " " + story(3), story(4))
    found = overlap_of(train, texts(story(3), story(9), file="g"))
    assert found.exact == ()
    assert found.contained == (("g:1", "f:2"),)
    assert "(0 word for word, 1 in large part): g:1 as f:2" in str(found.note("test"))


def test_a_text_that_shares_less_is_not() -> None:
    half = " ".join(story(1).split()[:20])
    assert overlap_of(texts(half), texts(story(1), file="g")).count == 0
    short = " ".join(story(1).split()[: WORDS_PER_SEQUENCE - 1])
    assert overlap_of(texts(story(1)), texts(short, file="g")).count == 0


def test_what_every_row_begins_with_does_not_count() -> None:
    frame = story(0, length=120)
    train = texts(*[f"{frame} {story(row, 14)}" for row in range(10, 30)])
    other = texts(*[f"{frame} {story(row, 14)}" for row in range(40, 60)], file="g")
    assert overlap_of(train, other).count == 0


@given(st.lists(st.integers(0, 8), max_size=8), st.lists(st.integers(0, 8), max_size=8))
def test_exactly_the_shared_texts_are_found(one: list[int], other: list[int]) -> None:
    train, split = texts(*[story(seed) for seed in one]), texts(*[story(seed) for seed in other], file="g")
    assert overlap_of(train, split).count == sum(seed in one for seed in other)


def test_normalising_keeps_words_only() -> None:
    assert normalised("  Ｆｕｌｌ-width, “quoted” ") == "full width quoted"
