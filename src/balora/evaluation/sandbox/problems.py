"""Items of HumanEval and MBPP as programs and tests."""

from __future__ import annotations

import ast
import builtins
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from balora.errors import DataError
from balora.evaluation.sandbox.supervise import Candidate


def humaneval_candidate(problem: Mapping[str, Any], completion: str) -> Candidate:
    r"""A HumanEval item with a model's continuation of its prompt.

    The program is prompt + completion. The tests are the item's `check`, called on the entry point. Functions that the
    prompt defines beside it are the prompt's own in the tests, whatever the completion makes of their names.

    Raises:
        DataError: when the item lacks a field of the format.

    >>> item = {"prompt": "def one():\n", "entry_point": "one", "test": "def check(f):\n    assert f() == 1\n"}
    >>> humaneval_candidate(item, "    return 1\n").names
    ('one',)
    """
    prompt, test, entry = _texts(problem, "prompt", "test", "entry_point")
    helpers = prompt if _compiles(prompt) else ""
    return Candidate(prompt + completion + "\n", f"{test}\n\ncheck({entry})\n", (entry,), helpers)


def mbpp_candidate(problem: Mapping[str, Any], code: str, *, challenge: bool = False) -> Candidate:
    """An MBPP item, of the full or the sanitized set, with a model's code.

    The tests are imports and set-up, then every assertion; with `challenge` the harder ones as well. They take from the
    program the names that neither they nor Python define, and builtins that the reference solution defines.

    Raises:
        DataError: when the item lacks a field of the format, or its tests are not Python.

    >>> item = {"code": "def sum(a, b): return a + b", "test_list": ["assert sum(1, 2) == 3"]}
    >>> mbpp_candidate(item, "def sum(a, b): return 3").names
    ('sum',)
    """
    (reference,) = _texts(problem, "code")
    lines = [*_lines(problem, "test_imports"), str(problem.get("test_setup_code") or "")]
    lines += [
        *_lines(problem, "test_list", needed=True),
        *(_lines(problem, "challenge_test_list") if challenge else []),
    ]
    tests = "\n".join(lines).replace("\r\n", "\n") + "\n"
    try:
        used = names_from_outside(tests)
        defined = names_defined(reference)
    except SyntaxError as error:
        raise DataError.at(_place(problem), f"its tests or its code are not Python ({error})") from None
    # One item measures with `sys` and leaves the import to the solution; the tests' own module is the honest one.
    modules = sorted(name for name in used if name in sys.stdlib_module_names and name not in defined)
    taken = [name for name in used if name not in modules and (name not in vars(builtins) or name in defined)]
    helpers = "".join(f"import {name}\n" for name in modules)
    return Candidate(code.replace("\r\n", "\n") + "\n", tests, tuple(sorted(taken)), helpers)


def names_from_outside(source: str) -> set[str]:
    r"""Names that the source reads and never binds itself, builtins included.

    >>> sorted(names_from_outside("import math\nx = f(math.pi)\nassert g(x, [y for y in [1]])"))
    ['f', 'g']
    """
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound


def names_defined(source: str) -> set[str]:
    """Functions, classes and values that the source defines at its top level; imports are not among them."""
    defined: set[str] = set()
    for node in _parsed(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return defined


def _parsed(source: str) -> ast.Module:
    """The syntax tree; what Python would warn about in others' source is nothing our user can change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _compiles(source: str) -> bool:
    try:
        _parsed(source)
    except (SyntaxError, ValueError):
        return False
    return True


def _place(problem: Mapping[str, Any]) -> str:
    return f"task {problem.get('task_id', '?')}"


def _texts(problem: Mapping[str, Any], *fields: str) -> list[str]:
    for field in fields:
        if not isinstance(problem.get(field), str):
            raise DataError.at(_place(problem), f"'{field}' is missing or not a text", "check the file's format")
    return [problem[field] for field in fields]


def _lines(problem: Mapping[str, Any], field: str, *, needed: bool = False) -> Sequence[str]:
    lines = problem.get(field) or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or (needed and not lines):
        raise DataError.at(_place(problem), f"'{field}' is not a list of assertions", "check the file's format")
    return lines
