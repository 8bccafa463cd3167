"""The T5 way to classify: the model writes the name of the class, and only that exact word counts.

Prompts and words are those of T5 (Raffel et al. 2020, arXiv 1910.10683, appendix D). A text that is no label word is
counted as wrong, and as a class of its own in scores over confusion counts; a score that is no number counts as -1, as
T5's own code has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

import numpy as np
from numpy.typing import NDArray

from balora.data.examples import LabelledText
from balora.data.prompts import own_prompt
from balora.errors import DataError

UNKNOWN_SCORE = -1.0


@dataclass(frozen=True)
class LabelWords:
    """How a task becomes text."""

    template: str
    """With {text} and {text_pair}."""
    words: Mapping[str, str] | None
    """Class name -> what the model writes; None for scores."""


_NLI_WORDS = {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"}
_TWO_WORDS = {"entailment": "entailment", "not_entailment": "not_entailment"}

LABEL_WORDS: Mapping[str, LabelWords] = {
    "cola": LabelWords("cola sentence: {text}", {"unacceptable": "unacceptable", "acceptable": "acceptable"}),
    "sst2": LabelWords("sst2 sentence: {text}", {"negative": "negative", "positive": "positive"}),
    "mrpc": LabelWords(
        "mrpc sentence1: {text} sentence2: {text_pair}",
        {"not_equivalent": "not_equivalent", "equivalent": "equivalent"},
    ),
    "qqp": LabelWords(
        "qqp question1: {text} question2: {text_pair}",
        {"not_duplicate": "not_duplicate", "duplicate": "duplicate"},
    ),
    "mnli": LabelWords("mnli hypothesis: {text_pair} premise: {text}", _NLI_WORDS),
    "snli": LabelWords("mnli hypothesis: {text_pair} premise: {text}", _NLI_WORDS),
    "sick": LabelWords("mnli hypothesis: {text_pair} premise: {text}", _NLI_WORDS),
    "qnli": LabelWords("qnli question: {text} sentence: {text_pair}", _TWO_WORDS),
    "rte": LabelWords("rte sentence1: {text} sentence2: {text_pair}", _TWO_WORDS),
    "wnli": LabelWords("rte sentence1: {text} sentence2: {text_pair}", _TWO_WORDS),
    "stsb": LabelWords("stsb sentence1: {text} sentence2: {text_pair}", None),
}


def words_for(
    trained_on: str, class_names: Sequence[str] | None, template: str | None, words: Sequence[str] | None
) -> LabelWords:
    """The task's prompt and words, with the user's own in their place.

    Args:
        trained_on: the task.
        class_names: its classes in the order of their ids; None for scores.
        template: the prompt that the model was trained with, with {text} and {text_pair}.
        words: what it was trained to write, in the order of the classes.

    Raises:
        DataError: nothing is known about the task, a placeholder is unknown, or the number of words is wrong.
    """
    known = LABEL_WORDS.get(trained_on)
    if known is None and (template is None or (class_names is not None and words is None)):
        what = f"no prompt and label words are known for '{trained_on}'"
        raise DataError.at("template", what, "set template='... {text} ... {text_pair} ...' and label_words=a,b,c")
    if words is not None and (class_names is None or len(words) != len(class_names)):
        names = ", ".join(class_names or ())
        what = f"{len(words)} words for {len(class_names or ())} classes"
        raise DataError.at("label_words", what, f"give one for each of {names}" if names else "leave it out")
    chosen = template or (known.template if known else "")
    fields = {field for _, field, _, _ in Formatter().parse(chosen) if field is not None}
    if not fields <= {"text", "text_pair"} or "text" not in fields:
        what = f"'{chosen}' holds {', '.join(sorted(fields)) or 'no placeholder'}"
        raise DataError.at("template", what, "write {text}, and {text_pair} where there are two texts")
    if class_names is None:
        return LabelWords(chosen, None)
    own = dict(zip(class_names, words, strict=True)) if words else None
    known_words = known.words if known and known.words else {}
    return LabelWords(chosen, own or {name: known_words.get(name, name) for name in class_names})


def prompt_of(example: LabelledText, words: LabelWords) -> str:
    """What the model reads.

    >>> prompt_of(LabelledText("f:1", "He go.", None, 0), LABEL_WORDS["cola"])
    'cola sentence: He go.'
    """
    return own_prompt(words.template, {"text": example.text, "text_pair": example.text_pair or ""})


def classes_of(texts: Sequence[str], class_names: Sequence[str], words: LabelWords) -> NDArray[np.int64]:
    """Class ids by exact match; a text that is no label word gets the id after the last class.

    >>> words = LABEL_WORDS["cola"]
    >>> classes_of(["acceptable", "Acceptable!", " unacceptable "], ["unacceptable", "acceptable"], words).tolist()
    [1, 2, 0]
    """
    ids = {(words.words or {}).get(name, name): index for index, name in enumerate(class_names)}
    return np.array([ids.get(text.strip(), len(class_names)) for text in texts], dtype=np.int64)


def scores_of(texts: Sequence[str]) -> tuple[NDArray[np.float64], int]:
    """The numbers that were written, and how many texts are none.

    >>> scores_of(["3.8", "high"])
    (array([ 3.8, -1. ]), 1)
    """
    numbers, unread = [], 0
    for text in texts:
        try:
            number = float(text.strip())
        except ValueError:
            number = float("nan")
        if not np.isfinite(number):
            number, unread = UNKNOWN_SCORE, unread + 1
        numbers.append(number)
    return np.array(numbers, dtype=np.float64), unread
