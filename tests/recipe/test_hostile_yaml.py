"""R18: recipes that want to run, to explode or to mean something else. Refused with their line, or typed right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from balora.errors import RecipeError
from balora.recipe.document import LARGEST_TEXT_BYTES, read_document
from balora.recipe.load import load_recipe

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)

REFUSED = {
    "os.system": "a: !!python/object/apply:os.system ['touch {canary}']",
    "a new object": "a: !!python/object/new:subprocess.Popen [['touch', '{canary}']]",
    "a module": "a: !!python/module:os",
    "a name": "a: !!python/name:os.system",
    "eval": "a: !!python/object/apply:eval [\"open('{canary}','w')\"]",
    "a tuple": "a: !!python/tuple [1, 2]",
    "an own tag": "a: !include /etc/passwd",
    "an environment tag": "a: !ENV HOME",
    "a Java class": "a: !!javax.script.ScriptEngineManager [x]",
    "a tag declared by the file": "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system x",
    "a tag on a key": "!!python/name:os.system x: 1",
    "a tag on the whole": "!!python/object/apply:os.system ['touch {canary}']",
    "a set": "a: !!set {x, y}",
    "ordered pairs": "a: !!omap [x: 1]",
    "binary": "a: !!binary aGk=",
    "an alias bomb": BOMB,
    "an alias within itself": "a: &a [*a]",
    "a merge bomb": "a: &a {x: 1}\nb: {<<: *a}",
    "a key twice": "seed: 1\nseed: 2",
    "a key twice, quoted": "seed: 1\n'seed': 2",
    "brackets without end": "a: " + "[" * 50_000,
    "braces without end": "{a: " * 50_000,
    "indentation without end": "".join(f"{' ' * n}a:\n" for n in range(400)),
    "100 MB": "# " + "x" * (100 << 20),
    "just too large": "a: " + "x" * LARGEST_TEXT_BYTES,
    "two documents": "a: 1\n---\na: 2",
    "a complex key": "? [a, b]\n: 1",
    "an int that is none": "a: !!int 1; import os",
    "a NUL": "a: x\0y",
    "a terminal escape": "a: \x1b[2Jx",
}

TYPED: dict[str, tuple[str, Any]] = {
    "a small number": ("a: 1e-4", 1e-4),
    "a small number with a point": ("a: 1.0e-4", 1e-4),
    "no octal": ("a: 010", 10),
    "octal as YAML 1.2 writes it": ("a: 0o10", 8),
    "hexadecimal": ("a: 0x10", 16),
    "no word for true": ("a: [on, yes, y, off, no, n]", ["on", "yes", "y", "off", "no", "n"]),
    "true": ("a: [true, True, false]", [True, True, False]),
    "no sexagesimal": ("a: 1:30", "1:30"),
    "a date is text": ("a: 2024-01-01", "2024-01-01"),
    "Norway": ("a: NO", "NO"),
    "a version": ("a: '1.10'", "1.10"),
    "nothing": ("a: [null, ~, ]", [None, None]),
    "infinity": ("a: .inf", float("inf")),
}


OF_THE_WHOLE = {"brackets without end", "braces without end", "100 MB", "just too large"}
LATER_LINES = {
    "a tag declared by the file": 3,
    "a merge bomb": 2,
    "a key twice": 2,
    "a key twice, quoted": 2,
    "two documents": 2,
    "indentation without end": 32,
}
"""Every other problem stands in the first line."""


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_yaml_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    began = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        read_document(REFUSED[name].replace("{canary}", str(canary)), "recipe.yaml")
    assert not canary.exists()
    assert time.monotonic() - began < 5
    for problem in caught.value.problems:
        line = "" if name in OF_THE_WHOLE else f":{LATER_LINES.get(name, 1)}"
        assert str(problem).startswith(f"recipe.yaml{line}: ")
        assert not {"\n", "\0", "\x1b"} & set(str(problem))
        assert len(str(problem)) < 500


@pytest.mark.parametrize("name", TYPED)
def test_odd_yaml_is_typed_as_version_1_2_says(name: str) -> None:
    text, value = TYPED[name]
    found = read_document(text, "recipe.yaml").values["a"]
    assert found == value
    assert type(found) is type(value)


def test_a_large_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as stream:
        stream.truncate(10 << 30)
    with pytest.raises(RecipeError, match="larger than"):
        load_recipe(path)
