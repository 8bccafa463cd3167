"""`balora demo` passes its options on and prints the table."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def run_demo(**options: Any) -> Any:
        calls.append(options)
        sys.stdout.write("chatter\n")
        return types.SimpleNamespace(table="method  accuracy\nLoRA    0.9", record={"LoRA": 0.9})

    module = types.ModuleType("balora.demo")
    module.run_demo = run_demo
    monkeypatch.setitem(sys.modules, "balora.demo", module)
    return calls


def test_the_table_is_printed(balora, asked: list[dict[str, Any]]) -> None:
    outcome = balora("demo")
    assert (outcome.code, outcome.out) == (0, "method  accuracy\nLoRA    0.9\n")
    assert asked == [{"folder": None, "quick": False, "seeds": 3, "show_progress": True}]


def test_options_are_passed_on(balora, asked: list[dict[str, Any]]) -> None:
    outcome = balora("demo", "--quick", "--seeds", "2", "--out", "here", "--quiet", "--json")
    assert outcome.document == {"LoRA": 0.9}
    assert asked == [{"folder": Path("here"), "quick": True, "seeds": 2, "show_progress": False}]
