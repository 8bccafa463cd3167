"""Label words: only the exact word counts, and what is none is wrong without being lost."""

from __future__ import annotations

import pytest

from balora.data import LabelledText
from balora.errors import DataError
from balora.evaluation import METRICS
from balora.evaluation.label_words import LABEL_WORDS, UNKNOWN_SCORE, classes_of, prompt_of, scores_of, words_for
from balora.evaluation.labelled_sets import LABELLED_SETS

NLI = ("entailment", "neutral", "contradiction")


def test_t5_s_own_prompts() -> None:
    pair = LabelledText("f:1", "A man sleeps.", "Someone rests.", 0)
    assert prompt_of(pair, LABEL_WORDS["mnli"]) == "mnli hypothesis: Someone rests. premise: A man sleeps."
    assert prompt_of(pair, LABEL_WORDS["stsb"]).startswith("stsb sentence1: A man sleeps. sentence2:")
    braces = LabelledText("f:1", "{text_pair} {x}", None, 0)
    assert prompt_of(braces, LABEL_WORDS["cola"]) == "cola sentence: {text_pair} {x}"


@pytest.mark.parametrize("task", [name for name in LABEL_WORDS if LABELLED_SETS[name].classes])
def test_there_is_a_word_for_every_class(task: str) -> None:
    names = LABELLED_SETS[task].classes
    words = words_for(task, names, None, None)
    assert words.words is not None
    assert set(words.words) == set(names or ())
    assert len(set(words.words.values())) == len(names or ())


def test_anything_else_is_a_class_of_its_own_and_wrong() -> None:
    words = words_for("mnli", NLI, None, None)
    found = classes_of(["neutral", "Neutral", "", " entailment\n", "contradiction."], NLI, words)
    assert found.tolist() == [1, 3, 3, 0, 3]
    assert METRICS["accuracy"].score(found, found * 0 + 1) == pytest.approx(0.2)


def test_own_words_and_prompt() -> None:
    words = words_for("cola", ("unacceptable", "acceptable"), "Is it fine? {text}", ["no", "yes"])
    assert prompt_of(LabelledText("f:1", "He go.", None, 0), words) == "Is it fine? He go."
    assert classes_of(["no", "yes", "acceptable"], ("unacceptable", "acceptable"), words).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("task", "names", "template", "words", "said"),
    [
        ("cola", ("a", "b"), None, ["x"], "1 words for 2 classes"),
        ("cola", ("a", "b"), "{sentence}", None, "write {text}"),
        ("cola", ("a", "b"), "no placeholder", None, "holds no placeholder"),
        ("own", ("a", "b"), None, None, "no prompt and label words are known for 'own'"),
        ("stsb", None, None, ["x"], "leave it out"),
    ],
)
def test_what_does_not_fit_is_refused(task, names, template, words, said) -> None:
    with pytest.raises(DataError, match=said):
        words_for(task, names, template, words)


def test_scores_that_are_no_numbers_count_as_minus_one() -> None:
    numbers, unread = scores_of([" 3.8", "nan", "five", "-2"])
    assert numbers.tolist() == [3.8, UNKNOWN_SCORE, UNKNOWN_SCORE, -2.0]
    assert unread == 2
