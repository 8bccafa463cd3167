"""R16: answers that want to run, to fill the memory or never to end. Two seconds each, and nothing of them runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from balora.evaluation.answers import AnswerJudge, boxed_answer
from tests.support.real import real_path

LONGEST_S = 2.0

CODE = [
    "__import__('os').system('touch {canary}')",
    "exec(\"open('{canary}','w')\")",
    'eval(\'open("{canary}","w")\')',
    "open('{canary}','w').write('x')",
    "(lambda: open('{canary}','w'))()",
    "[open('{canary}','w') for x in [1]]",
    "().__class__.__base__.__subclasses__()",
    "().__class__.__mro__[1].__subclasses__()[100]",
    "getattr(__builtins__, 'open')('{canary}','w')",
    "{canary}".join(["$(touch ", ")"]),
    "`touch {canary}`",
    "7; import os; os.system('touch {canary}')",
    "7\\nimport os; os.system('touch {canary}')",
    "\\boxed{{__import__('os').system('touch {canary}')}}",
    "\\text{{__import__('os').system('touch {canary}')}}",
    "\\mathrm{{exec}}(\"open('{canary}','w')\")",
    "\\operatorname{{eval}}('1')",
    "Symbol('x').__class__.__init__.__globals__",
    'sympify(\'open("{canary}","w")\')',
    'S(\'__import__("os").system("touch {canary}")\')',
    'lambdify(x, \'open("{canary}","w")\')()',
    "x = 5; x.__reduce_ex__(2)",
    "\\input{{/etc/passwd}}",
    "\\write18{{touch {canary}}}",
    "\\immediate\\write18{{touch {canary}}}",
    "\\catcode`\\@=11 \\@@input /etc/passwd",
    "\\def\\x{{\\x\\x}}\\x",
    'f\'{{open("{canary}","w")}}\'',
]
HEAVY = [
    "9**9**9**9",
    "9^{9^{9^{9}}}",
    "(((10^10)^10)^10)^10",
    "10^{10^{10}}",
    "2^{-10^{10^{10}}}",
    "10^{10^8} + 1",
    "1000000!",
    "1000000!!!!",
    "((10!)!)!",
    "\\binom{10^9}{10^8}",
    "\\sum_{n=1}^{10^{12}} \\frac{1}{n^{n}}",
    "\\prod_{n=1}^{10^9} n",
    "\\int_0^1 x^{x^{x^{x}}} dx",
    "\\int \\sin(\\sin(\\sin(x^x))) e^{x^{x}} dx",
    "\\lim_{x \\to 0} x^{x^{x^{x^{x}}}}",
    "\\sqrt[10^9]{2^{10^9}}",
    "\\frac{1}{\\frac{1}{\\frac{1}{10^{10^{9}}}}}",
    "\\sin(10^{10^{7}})",
    "\\gcd(10^{10^7}, 10^{10^7} + 1)",
    "0x" + "f" * 400,
    "1e999999999",
    "1e-999999999",
    "(1+x)^{100000}",
    "(a+b+c+d+e+f)^{200} - (a+b+c+d+e)^{200}",
    "x^{2000} - 1 = (x-1)(x^{1999}+1)",
    "\\begin{pmatrix}" + "9^{9^9} & " * 20 + "1\\end{pmatrix}",
    "[1..10^9]",
    "\\{1,2,\\ldots,10^9\\} \\cup \\{1\\}",
]
ODD = [
    "\\sqrt" * 90,
    "\\frac{" * 80,
    "(" * 400,
    "{" * 499,
    "-" * 450,
    "1" * 500,
    "1," * 240,
    "\x00\x01\x1b[2J",
    "\ud800",
    "1/0",
    "\\infty - \\infty",
    "nan",
    "\\" * 499,
    "$" * 499,
    "٣٤",
    "7\u202e7",
]
HOSTILE = [text.format(canary="{canary}") if "{{" in text else text for text in CODE] + HEAVY + ODD


BUSY = 15
"""The limit is one of processor time; by the clock a machine that much else uses may take this much longer."""


@pytest.fixture(scope="module")
def judge() -> Iterator[AnswerJudge]:
    # A hard limit by the clock so far off that only the one on processor time can keep the tests' limit.
    with AnswerJudge(hard_limit_s=120) as judge:
        judge.judge("\\frac{14}{2}", "7")
        yield judge


def test_there_are_sixty() -> None:
    assert len(HOSTILE) >= 60


QUICK = {*range(len(CODE)), *range(len(CODE), len(HOSTILE), 6)}
"""The heavy ones cost their two seconds; a few of them stand for all in the everyday suite."""


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in range(len(HOSTILE))]
)
def test_a_hostile_answer_costs_two_seconds_and_runs_nothing(number: int, judge: AnswerJudge, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    judge.process.wait_until_loaded()  # loading again after the last one is no property of this one
    began = time.monotonic()
    verdict = judge.judge(HOSTILE[number].replace("{canary}", str(canary)), "6.5")
    assert not verdict.equal
    assert not canary.exists()
    assert time.monotonic() - began < BUSY * LONGEST_S
    assert judge.judge("\\frac{13}{2}", "6.5").equal, "and the next answer is judged as ever"


def test_a_hostile_gold_answer_costs_no_more(judge: AnswerJudge) -> None:
    """Benchmarks are files of others, too."""
    for text in ("9^{9^{9^{9}}}", "((10!)!)!", "__import__('os')"):
        judge.process.wait_until_loaded()
        began = time.monotonic()
        assert not judge.judge("\\frac{13}{2}", text).equal
        assert time.monotonic() - began < BUSY * LONGEST_S


@pytest.mark.slow
@pytest.mark.real
def test_no_honest_answer_comes_near_the_limit(judge: AnswerJudge) -> None:
    rows = [json.loads(line) for line in real_path("data/math500/test_ori.jsonl").read_text().splitlines()]
    slowest, wrong = 0.0, []
    for row in rows:
        began = time.monotonic()
        # A space keeps the quick path for equal texts from hiding the parser.
        verdict = judge.judge(f"\\boxed{{ {boxed_answer(row['solution'])} }}", row["answer"])
        slowest = max(slowest, time.monotonic() - began)
        wrong += [] if verdict.equal else [(row["answer"], verdict)]
    assert wrong == []
    assert slowest < LONGEST_S
