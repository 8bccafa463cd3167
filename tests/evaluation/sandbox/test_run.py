"""What the tests of a program can do with it, and how many are run."""

from __future__ import annotations

import pytest

from balora.errors import DataError, InputError
from balora.evaluation.sandbox import (
    Candidate,
    SandboxLimits,
    check_humaneval,
    check_mbpp,
    humaneval_candidate,
    mbpp_candidate,
    probe,
    probe_sandbox,
    require_sandbox,
    run,
    run_candidate,
    run_many,
)
from balora.evaluation.sandbox.method import MethodName
from balora.evaluation.sandbox.supervise import supervise

ITEM = {
    "task_id": "HumanEval/x",
    "prompt": "def half(x):\n    return x / 2\n\ndef quarter(x):\n    '''A quarter.'''\n",
    "entry_point": "quarter",
    "test": "def check(candidate):\n    assert candidate(8) == half(4)\n    assert abs(candidate(1) - 0.25) < 1e-9\n",
}
TASK = {"task_id": 1, "code": "def add(a, b):\r\n  return a + b", "test_list": ["assert add(1, 2) == 3"]}

PROGRAM = """
import collections, re
class Node:
    def __init__(self, value):
        self.value, self.left = value, None
def depth(node):
    return 0 if node is None else 1 + depth(node.left)
def sort_in_place(values, *, reverse=False):
    values.sort(reverse=reverse)
def add_key(table):
    table["new"] = [1]
def count_up(n):
    yield from range(n)
def match(text):
    return re.match("a+", text)
def fail():
    raise KeyError("gone")
class OwnError(ValueError): pass
def fail_own():
    raise OwnError("mine")
def apply(f, x):
    return f(x)
def counts(text):
    return collections.Counter(text)
LIMIT = 3
"""

HOLDS = [
    "root = Node(1)\nroot.left = Node(2)\nassert depth(root) == 2 and root.left.value == 2",
    "xs = [3, 1, 2]\nsort_in_place(xs)\nassert xs == [1, 2, 3]",
    "xs = [3, 1, 2]\nsort_in_place(xs, reverse=True)\nassert xs == [3, 2, 1]",
    "d = {}\nadd_key(d)\nassert d == {'new': [1]}",
    "assert list(count_up(3)) == [0, 1, 2] and sorted(count_up(2)) == [0, 1] and next(count_up(1)) == 0",
    "assert match('aab') and not match('b') and match('aab').group() == 'aa'",
    "try:\n    fail()\n    assert False\nexcept KeyError as error:\n    assert 'gone' in str(error)",
    "try:\n    fail_own()\n    assert False\nexcept ValueError:\n    pass",
    "assert counts('abb') == {'a': 1, 'b': 2} and counts('abb').most_common(1) == [('b', 2)]",
    "assert LIMIT == 3 and apply(Node, 3).value == 3",
]


@pytest.mark.parametrize("tests", HOLDS)
def test_tests_use_the_program_as_if_it_were_there(tests: str, method: MethodName) -> None:
    names = ("Node", "depth", "sort_in_place", "add_key", "count_up", "match", "fail", "fail_own", "counts", "LIMIT")
    verdict = supervise(Candidate(PROGRAM, tests, (*names, "apply")), SandboxLimits(), method)
    assert verdict.passed, verdict


@pytest.mark.parametrize(
    ("program", "reason", "detail"),
    [
        ("def f(x): return x", "failed", "line 1"),
        ("def f(x): return g(x)", "error", "NameError"),
        ("def f(x) return x", "error", "SyntaxError"),
        ("x = 1", "error", "'f' is not defined"),
        ("def f(x): assert False", "error", "AssertionError"),
        ("def f(x): raise MemoryError", "memory", "memory"),
        ("def f(x): return lambda: x", "failed", ""),
        ("", "error", "'f' is not defined"),
        ("\x00", "error", ""),
    ],
)
def test_the_reason_is_named(program: str, reason: str, detail: str) -> None:
    verdict = run_candidate(program, tests="assert f(1) == 2")
    assert (verdict.reason, verdict.passed) == (reason, False)
    assert detail in verdict.detail


def test_what_a_program_prints_is_kept_to_its_end() -> None:
    verdict = run_candidate("print('x' * 9999 + 'end')\ndef f(): return 1", tests="assert f() == 1")
    assert verdict.passed
    assert verdict.stdout_tail.endswith("xend\n")
    assert len(verdict.stdout_tail) == 4096


def test_sets_order_the_same_in_every_run() -> None:
    program = "def order(): return list({'b', 'a', 'c', 'dd'})"
    shown = {run_candidate(program, tests="assert order() == 0, order()").detail for _ in range(3)}
    assert len(shown) == 1


def test_packages_are_there_only_if_wanted() -> None:
    program = "def total():\n    import numpy\n    return int(numpy.arange(4).sum())"
    assert run_candidate(program, tests="assert total() == 6").passed
    without = run_candidate(program, tests="assert total() == 6", limits=SandboxLimits(site_packages=False))
    assert "ModuleNotFoundError" in without.detail


def test_humaneval_takes_the_prompts_own_functions_in_its_tests() -> None:
    assert check_humaneval(ITEM, "    return x / 4\n").passed
    forged = "    return 0.25\n\nclass Any:\n    pass\ndef half(x):\n    return 0.25\n"
    assert check_humaneval(ITEM, forged).reason == "failed"


def test_mbpp_items_of_both_sets() -> None:
    assert check_mbpp(TASK, "def add(a, b):\r\n    return b + a").passed
    assert check_mbpp(TASK, "def add(a, b):\n    return 4").reason == "failed"
    harder = TASK | {"challenge_test_list": ["assert add(-1, 1) == 0"]}
    only_easy = "def add(a, b):\n    return 3"
    assert check_mbpp(harder, only_easy).passed
    assert check_mbpp(harder, only_easy, challenge=True).reason == "failed"
    imports = {"code": "", "test_imports": ["import math"], "test_list": ["assert math.isclose(add(1, 2), 3)"]}
    assert mbpp_candidate(imports, "").names == ("add",)


def test_the_tests_of_mbpp_keep_pythons_builtins_and_modules() -> None:
    measured = {"code": "import sys\ndef size(x): return sys.getsizeof(x)"}
    measured["test_list"] = ["assert size((1,)) == sys.getsizeof((1,))"]
    assert check_mbpp(measured, "import sys\ndef size(x): return sys.getsizeof(x)").passed
    forged = "class sys:\n    def getsizeof(x): return 1\ndef size(x): return 1"
    assert check_mbpp(measured, forged).reason == "failed"
    gathered = {"code": "def f(x): return x", "test_list": ["assert set(f([1])) == set([1])"]}
    assert check_mbpp(gathered, "def set(x): return 0\ndef f(x): return [2]").reason == "failed"


@pytest.mark.parametrize(
    "item",
    [{}, {"code": 1, "test_list": ["x"]}, {"code": "", "test_list": []}, {"code": "", "test_list": ["assert ("]}],
)
def test_items_that_are_not_mbpp_are_refused(item) -> None:
    with pytest.raises(DataError, match="task"):
        mbpp_candidate(item, "")


def test_items_that_are_not_humaneval_are_refused() -> None:
    with pytest.raises(DataError, match="entry_point"):
        humaneval_candidate({"prompt": "", "test": ""}, "")


def test_many_arrive_in_order_and_one_by_one() -> None:
    candidates = [Candidate(f"def f(): return {n}", "assert f() % 2 == 0", ("f",)) for n in range(7)]
    seen: dict[int, bool] = {}
    verdicts = run_many(candidates, workers=3, on_verdict=lambda n, verdict: seen.update({n: verdict.passed}))
    assert [verdict.passed for verdict in verdicts] == [True, False, True, False, True, False, True]
    assert seen == {n: verdict.passed for n, verdict in enumerate(verdicts)}
    assert run_many([]) == []


def test_an_error_of_the_caller_stops_the_queue() -> None:
    def stop(position: int, verdict: object) -> None:
        raise KeyboardInterrupt

    candidates = [Candidate("def f(): return 1", "assert f()", ("f",)) for _ in range(50)]
    with pytest.raises(KeyboardInterrupt):
        run_many(candidates, workers=2, on_verdict=stop)


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "METHODS", ())


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_nothing_runs() -> None:
    verdict = run_candidate("def f(): return 1", tests="assert f() == 1")
    assert (verdict.reason, verdict.layers) == ("refused", ())
    assert not verdict.passed
    with pytest.raises(InputError, match="no sandbox"):
        require_sandbox()
    with pytest.raises(InputError, match="no sandbox"):
        run_many([Candidate("", "", ())])


@pytest.mark.usefixtures("no_sandbox")
def test_without_a_sandbox_the_user_may_still_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = run_candidate("def f(): return 1", tests="assert f() == 1", allow_unsandboxed=True)
    assert verdict.passed
    assert not {"bubblewrap", "namespaces"} & set(verdict.layers)
    assert not require_sandbox(allow_unsandboxed=True).works


def test_a_wall_that_falls_is_refused_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that works in the probe and not in a run says so; the program does not run."""
    report = probe_sandbox()
    assert report.works, f"NOTHING TESTED HERE: {report.obstacles}"
    monkeypatch.setattr(run, "supervise", lambda *a: supervise(a[0], a[1].model_copy(update={"scratch_mib": -1}), a[2]))
    verdict = run_candidate("print('ran')\ndef f(): return 1", tests="assert f() == 1")
    assert verdict.reason == "refused"
    assert "ran" not in verdict.stdout_tail


def test_the_probe_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    probe._try.cache_clear()
    monkeypatch.setattr(probe, "bubblewrap_path", lambda: None)
    monkeypatch.setattr(probe, "_EXPECTED", "assert user() == -5")
    try:
        report = probe_sandbox()
    finally:
        probe._try.cache_clear()
    assert not report.works
    assert "bwrap is not installed" in report.obstacles[0]
    assert "AssertionError" in report.obstacles[1]
