"""What the judge is told: texts in a file that can be replaced."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from balora.errors import DataError, Problem, did_you_mean
from balora.evaluation.judge.questions import Question
from balora.regular_files import read_regular
from balora.strict_json import LARGEST_BYTES

SHIPPED = Path(__file__).with_name("prompts.yaml")

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_GRADE = re.compile(r"\[\[\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\]\]")
_FIRST = {"question_1", "answer_1"}
_SECOND = _FIRST | {"question_2", "answer_2"}
_NEEDED: dict[str, set[str]] = {
    "system": set(),
    "first_turn": _FIRST,
    "second_turn": _SECOND,
    "first_turn_with_reference": _FIRST | {"reference_1"},
    "second_turn_with_reference": _SECOND | {"reference_2"},
}
"""Text -> the words in braces that it must hold."""
_KNOWN = _SECOND | {"reference_1", "reference_2", "fence"}


@dataclass(frozen=True, slots=True)
class JudgePrompts:
    """The five texts, and where they came from."""

    texts: Mapping[str, str]
    source: str
    """`balora` for the shipped ones, else the file's name."""

    @property
    def fingerprint(self) -> str:
        """Sixteen characters of the SHA-256 of the texts."""
        joined = "\x00".join(f"{name}\x00{self.texts[name]}" for name in sorted(self.texts))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]

    def messages(self, question: Question, answers: tuple[str, str], turn: int) -> list[dict[str, str]]:
        """What is sent to the judge for one turn of one question.

        Grades that an answer writes itself, `[[10]]`, get a space between their brackets.
        """
        name = "first_turn" if turn == 1 else "second_turn"
        words = {"question_1": question.turns[0], "answer_1": answers[0]}
        if turn == 2:
            words |= {"question_2": question.turns[1], "answer_2": answers[1]}
        if question.reference is not None:
            name += "_with_reference"
            words |= {"reference_1": question.reference[0], "reference_2": question.reference[1]}
        harmless = {key: _GRADE.sub(r"[ [\1] ]", text) for key, text in words.items()}
        # From all the texts together, so that no answer can hold its own.
        digest = hashlib.sha256("\x00".join(harmless.values()).encode()).hexdigest()
        harmless["fence"] = f"===== {digest[:12]} ====="
        filled = _PLACEHOLDER.sub(lambda match: harmless[match[1]], self.texts[name])
        return [{"role": "system", "content": self.texts["system"]}, {"role": "user", "content": filled}]


def load_prompts(path: Path | None = None) -> JudgePrompts:
    """The prompts of a YAML file, or balora's own.

    Raises:
        DataError: listing every text that is missing or not known, and every word in braces that is.
    """
    file = path or SHIPPED
    try:
        document = YAML(typ="safe", pure=True).load(read_regular(file, LARGEST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DataError.at(file, f"the judge's prompts cannot be read ({error})", "check the file") from None
    if not isinstance(document, dict):
        raise DataError.at(file, "the judge's prompts are not a mapping", f"start from a copy of {SHIPPED}")
    problems = [
        Problem(str(file), f"unknown text '{name}'", did_you_mean(str(name), _NEEDED))
        for name in document
        if name not in _NEEDED
    ]
    for name, needed in _NEEDED.items():
        text = document.get(name)
        if not isinstance(text, str) or not text.strip():
            problems.append(Problem(str(file), f"'{name}' is missing or not a text"))
            continue
        used = set(_PLACEHOLDER.findall(text))
        problems += [Problem(f"{file}: {name}", f"{{{{{word}}}}} is missing") for word in sorted(needed - used)]
        allowed = (needed | {"fence"} | ({"reference_1"} if "reference_2" in needed else set())) & _KNOWN
        problems += [
            Problem(f"{file}: {name}", f"{{{{{word}}}}} has no value there", did_you_mean(word, allowed))
            for word in sorted(used - allowed)
        ]
    if problems:
        raise DataError(problems)
    return JudgePrompts({name: str(document[name]) for name in _NEEDED}, str(path) if path else "balora")


def grade_in(reply: str) -> float | None:
    """The last `[[n]]` of a reply if it is a number from 1 to 10, else None.

    >>> grade_in("Good. [[7]]"), grade_in("[[3]] no, rather [[8.5]]"), grade_in("[[11]]"), grade_in("8/10")
    (7.0, 8.5, None, None)
    """
    found = _GRADE.findall(reply)
    grade = float(found[-1]) if found else 0.0
    return grade if 1 <= grade <= 10 else None
