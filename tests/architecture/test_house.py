"""The house rules that a machine can check: import order, sizes, names, mirrored tests, public names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "balora"

ROWS: list[set[str]] = [
    {
        "errors",
        "escaping",
        "interruption",
        "main_memory",
        "optional",
        "redaction",
        "regular_files",
        "settings",
        "streams",
        "task",
    },
    {"paths", "strict_json"},
    {"cache", "limited_process"},
    {"losses", "data", "models", "adapters", "artefacts", "figures"},
    {"teacher", "evaluation", "lab"},
    {"training"},
    {"recipe"},
    {"run"},
    {"auditing"},
    {"study"},
    {"report"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
"""A room imports only from rows above its own; rooms of one row are strangers to each other."""

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 10
LONG_BY_NATURE: dict[str, str] = {
    "cli/audit.py:audit": "one parameter for each option of the command",
    "cli/study.py:run": "one parameter for each option of the command",
}
"""Functions allowed to be longer than the hard line -> why."""
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "manager"}
ROOMS_WITH_MIRRORED_TESTS = ["losses", "adapters", "teacher", "data", "evaluation", "recipe", "artefacts", "models"]

MODULES = sorted(SOURCE.rglob("*.py"))


def module_id(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module_id(path)}:{node.lineno} imports relatively; write balora.<room>"
            names = [node.module or ""]
            if node.module == "balora":
                names = [f"balora.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("balora.")}
    return rooms


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    floor = next((row for row, rooms in enumerate(ROWS) if room in rooms), None)
    assert floor is not None, f"{room} has no row in ROWS; give it one"
    allowed = set().union(*ROWS[:floor]) | {room}
    assert imported_rooms(path) <= allowed, f"{module_id(path)} imports {imported_rooms(path) - allowed}"


def test_losses_know_no_hugging_face() -> None:
    for path in (SOURCE / "losses").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for package in ("transformers", "peft", "datasets", "accelerate"):
            assert f"import {package}" not in text, f"{module_id(path)} imports {package}"
            assert f"from {package}" not in text, f"{module_id(path)} imports {package}"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_sizes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_MODULE, f"{module_id(path)} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = f"{module_id(path)}:{node.name}"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION or name in LONG_BY_NATURE, f"{name} has {lines} lines"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([a for a in arguments if a.arg not in {"self", "cls"}])
            assert count <= MOST_PARAMETERS or name in LONG_BY_NATURE, f"{name} has {count} parameters"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_names_and_docstrings(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES, f"{module_id(path)}: say what it is for"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert docstring, f"{module_id(path)} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "hasattr", f"{module_id(path)}:{node.lineno} probes with hasattr"


READS_JSON_ITSELF = {"strict_json.py", "data/structured.py", "data/chat_worker.py", "evaluation/math_worker.py"}
"""Beside the sandbox's inside, which has Python's own library alone; workers read their parent's lines."""


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_json_is_read_by_one_function(path: Path) -> None:
    """json.loads raises a RecursionError, which nobody expects, for a file of brackets."""
    text = path.read_text(encoding="utf-8").replace("json.loads(json.dumps(", "")
    if module_id(path) in READS_JSON_ITSELF or "inside" in path.parts:
        return
    assert "json.load" not in text, f"{module_id(path)}: read with balora.strict_json"


@pytest.mark.parametrize("room", ROOMS_WITH_MIRRORED_TESTS)
def test_every_module_with_logic_has_a_test_at_the_mirrored_path(room: str) -> None:
    for path in (SOURCE / room).glob("*.py"):
        has_logic = any(isinstance(n, ast.FunctionDef) for n in ast.walk(ast.parse(path.read_text("utf-8"))))
        if path.stem != "__init__" and has_logic:
            mirror = ROOT / "tests" / room / f"test_{path.stem}.py"
            assert mirror.exists(), f"{module_id(path)} has no {mirror.relative_to(ROOT)}"


def ruff_order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: the order that ruff keeps `__all__` in."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("room", sorted(p.parent.name for p in SOURCE.glob("*/__init__.py")))
def test_room_exports_exactly_its_public_names(room: str) -> None:
    module = importlib.import_module(f"balora.{room}")
    names = list(module.__all__)
    assert names == sorted(names, key=ruff_order), f"balora.{room}.__all__ is not sorted"
    for name in names:
        assert getattr(module, name) is not None
