"""JSON that strict readers take, without secrets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType

import pytest

from balora.strict_json import finite_or_null, parse_json, read_json, strict_json


def test_numbers_that_are_not_finite_become_null() -> None:
    document = {"a": math.nan, "b": (math.inf, 1.5), "c": MappingProxyType({"d": [-math.inf]})}
    assert finite_or_null(document) == {"a": None, "b": [None, 1.5], "c": {"d": [None]}}
    assert json.loads(strict_json(document)) == {"a": None, "b": [None, 1.5], "c": {"d": [None]}}


def test_it_holds_no_secret_and_keeps_letters() -> None:
    assert strict_json({"é": "hf_" + "a" * 34}) == '{\n  "é": "<secret>"\n}\n'


def test_anything_else_is_refused_or_stood_for() -> None:
    with pytest.raises(TypeError, match="Path"):
        strict_json({"a": Path("x")})
    assert strict_json([Path("x")], default=str) == '[\n  "x"\n]\n'


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, b"[" * 100_000, b'{"a": ' + b"[" * 100_000, b"\xff", "9" * 5000]
)
def test_what_is_no_json_is_a_value_error(text: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
    with pytest.raises(ValueError, match=r"."):
        read_json(file)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    document = {"é": [1, 2.5, None, {"a": True}]}
    file = tmp_path / "a.json"
    file.write_text(strict_json(document), encoding="utf-8")
    assert read_json(file) == parse_json(strict_json(document)) == document
