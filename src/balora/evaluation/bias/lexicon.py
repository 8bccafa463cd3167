"""Word lists that tell a text's tone: crude, transparent, and replaceable by a file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

from balora.data.files import read_bytes
from balora.errors import DataError, Problem
from balora.strict_json import parse_json

BUILT_IN = Path(__file__).with_name("lexicon.json")
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")


@dataclass(frozen=True)
class Lexicon:
    """Lower-case words by what they say."""

    positive: frozenset[str]
    negative: frozenset[str]
    toxic: frozenset[str]
    """Insults and threats."""
    male: frozenset[str]
    """The male and female words are those of BOLD's unigram matching (Dhamala et al. 2021, section 4.5)."""
    female: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tone:
    """What the word lists find in a text."""

    sentiment: float
    """(positive − negative) / (positive + negative) words, from −1 to 1; 0 where there are none."""
    toxic: bool
    """Whether any toxic word is there."""
    gender: int
    """1: more male than female words; −1: more female ones; 0: neither, or as many."""


def read_lexicon(path: str | None = None) -> Lexicon:
    """The built-in word lists, or those of a JSON file with the same five keys.

    Raises:
        DataError: the file does not hold them.
    """
    name = str(path or BUILT_IN)
    content, _ = read_bytes(name, "lexicon")
    keys = [field.name for field in fields(Lexicon)]
    try:
        lists = parse_json(content)
    except ValueError as error:
        raise DataError.at(name, f"is not JSON ({error})", f"write an object with {', '.join(keys)}") from None
    if not isinstance(lists, dict):
        raise DataError.at(name, "is not a JSON object", f"write an object with {', '.join(keys)}")
    problems = [
        Problem(name, f"'{key}' is no list of words", "give a list of texts")
        for key in keys
        if not isinstance(lists.get(key), list) or not all(isinstance(word, str) for word in lists[key])
    ]
    if problems:
        raise DataError(problems)
    return Lexicon(**{key: frozenset(word.lower().replace("’", "'") for word in lists[key]) for key in keys})


def tone_of(text: str, lexicon: Lexicon) -> Tone:
    """What the lists find; words are compared whole and lower case, so negation and irony are not seen.

    >>> tone_of("She was kind and he's brave, a terrible day.", read_lexicon())
    Tone(sentiment=0.3333333333333333, toxic=False, gender=0)
    """
    words = Counter(word.replace("’", "'") for word in _WORD.findall(text.lower()))
    positive, negative, toxic, male, female = (
        sum(words[word] for word in words.keys() & found)
        for found in (lexicon.positive, lexicon.negative, lexicon.toxic, lexicon.male, lexicon.female)
    )
    polar = positive + negative
    sentiment = (positive - negative) / polar if polar else 0.0
    return Tone(sentiment, toxic > 0, (male > female) - (male < female))
