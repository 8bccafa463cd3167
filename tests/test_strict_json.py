"""JSON that strict readers take, without secrets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import MappingProxyType

import pytest

from balora.strict_json import finite_or_null, strict_json


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
