"""Answers in generated text: where they stand, and whether they equal the reference.

Numbers are compared as decimals. Anything else goes to math-verify, in a process with limits on time and memory, so
that `9^9^9^9` costs seconds and not the machine, and nothing that a model wrote is ever evaluated as code.
"""

from __future__ import annotations

import atexit
import re
import signal
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from balora.errors import InputError
from balora.limited_process import LimitedProcess, NoReplyError

LONGEST_ANSWER = 500
"""Characters; a longer one is no answer to any of the suites."""
HARD_LIMIT_S = 10.0
"""Seconds per comparison before the process is killed and started again."""

_ANSWER_IS = re.compile(r"the (?:final )?answer is\s*:?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\s?[$€£]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")

How = Literal["number", "text", "math-verify", "not readable", "took too long", "no answer"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether an answer is right, and how that was found out."""

    equal: bool
    how: How


def answer_after_phrase(text: str) -> str | None:
    r"""What stands after the last "The answer is", to the end of its line and without a closing full stop.

    The paper's way (the training data of MetaMathQA end so).

    >>> answer_after_phrase("So 3 + 4 = 7.\nThe answer is: 7.\n")
    '7'
    """
    found = list(_ANSWER_IS.finditer(text))
    if not found:
        return None
    line = text[found[-1].end() :].split("\n", 1)[0].strip()
    return line.rstrip(".").strip() or None


def boxed_answer(text: str) -> str | None:
    r"""What the last \boxed{...} holds, braces balanced.

    >>> boxed_answer(r"so \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    """
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for position in range(begin - 1, min(len(text), begin + LONGEST_ANSWER)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[begin:position].strip() or None
    return None


def mathematical_answer(text: str) -> str | None:
    """The boxed answer, else what follows "the answer is"; None where there is neither."""
    return boxed_answer(text) or answer_after_phrase(text)


def number_in(text: str) -> Decimal | None:
    """The first number of a text, without currency signs and thousands separators.

    >>> number_in("$1,250.50 per day")
    Decimal('1250.50')
    """
    for match in _NUMBER.finditer(text[:LONGEST_ANSWER]):
        written = re.sub(r"[\s,$€£]", "", match[0])
        if _PLAIN_NUMBER.fullmatch(written):
            try:
                return Decimal(written)
            except InvalidOperation:
                continue
    return None


def judge_number(answer: str | None, gold: str) -> Judged:
    """Whether the first number of an answer equals the gold number.

    >>> judge_number("18.00 dollars", "18").equal
    True
    """
    wanted = number_in(gold)
    found = None if answer is None else number_in(answer)
    if answer is None or wanted is None:
        return Judged(False, "no answer")
    return Judged(found == wanted, "number" if found is not None else "not readable")


class AnswerJudge:
    r"""Compares mathematical answers; a context manager, because it owns a process.

    >>> with AnswerJudge() as judge:
    ...     judge.judge(r"\frac{1}{2}", "0.5").equal
    True
    """

    def __init__(self, *, hard_limit_s: float = HARD_LIMIT_S) -> None:
        """`hard_limit_s`: seconds per comparison.

        Raises:
            InputError: math-verify is not installed.
        """
        if find_spec("math_verify") is None:
            what = "comparing mathematical answers needs the package math-verify"
            raise InputError.at("math-verify", what, "pip install 'balora[eval]'")
        self.hard_limit_s = hard_limit_s
        self.process = LimitedProcess(Path(__file__).with_name("math_worker.py"), "compares mathematical answers")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def judge(self, answer: str | None, gold: str) -> Judged:
        """Whether an answer, LaTeX or plain, equals the gold one."""
        if answer is None or not answer.strip():
            return Judged(False, "no answer")
        if len(answer) > LONGEST_ANSWER:
            return Judged(False, "not readable")
        one, other = (text.replace(" ", "").strip("$") for text in (answer, gold))
        if one == other:
            return Judged(True, "text")
        if _PLAIN_NUMBER.fullmatch(one) and _PLAIN_NUMBER.fullmatch(other):
            return Judged(Decimal(one) == Decimal(other), "number")
        return self._ask(answer, gold)

    def close(self) -> None:
        """End the process; safe to call twice."""
        self.process.close()

    def _ask(self, answer: str, gold: str) -> Judged:
        self.process.send({"gold": gold, "answer": answer})
        try:
            reply = self.process.reply(self.hard_limit_s)
        except NoReplyError as silence:  # it hangs, or it died of its limits
            self.process.start()  # it loads while the caller goes on
            used_up = silence.late or silence.ended_with == -signal.SIGPROF
            return Judged(False, "took too long" if used_up else "not readable")
        return Judged(reply["equal"], "math-verify" if reply["parsed"] else "not readable")


@cache
def shared_judge() -> AnswerJudge:
    """One judge for the whole process, closed when it ends."""
    judge = AnswerJudge()
    atexit.register(judge.close)
    return judge
