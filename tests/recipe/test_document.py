"""YAML with line numbers, and nothing that runs."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.errors import RecipeError
from balora.recipe.document import LARGEST_TEXT_BYTES, MOST_VALUES, read_document


def value_of(text: str) -> object:
    return read_document(f"key: {text}", "r.yaml").values["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("1e-4", 1e-4),
        ("1E6", 1e6),
        ("010", 10),
        ("0x1F", 31),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("[a, 1]", ["a", 1]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_item_knows_its_line_and_its_text() -> None:
    document = read_document("a:\n  b: 0123\n  c:\n    - x\n    - y\n", "r.yaml")
    assert document.place_of(("a", "b")).label == "r.yaml:2"
    assert document.place_of(("a", "c", 1)).label == "r.yaml:5"
    assert document.place_of(("a", "missing", "deeper")).label == "r.yaml:1"
    assert document.place_of(("nowhere",)).label == "r.yaml"
    assert document.texts[("a", "b")] == "0123"


def test_renaming_and_forgetting_take_everything_below_along() -> None:
    document = read_document("a:\n  old:\n    deep: 1\n", "r.yaml")
    document.rename(("a", "old"), "new")
    assert document.place_of(("a", "new", "deep")).label == "r.yaml:3"
    assert document.texts[("a", "new", "deep")] == "1"
    document.forget(("a", "new"))
    assert document.place_of(("a", "new", "deep")).label == "r.yaml:1"
    assert not document.texts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "r.yaml:1: not valid YAML"),
        ("a: 1\n  b: 2", "r.yaml:2: not valid YAML"),
        ("a:\n\tb: 1", "r.yaml:2: not valid YAML"),
        ("a: *b", "undefined alias"),
        ("a: \x07", "r.yaml:1: not valid YAML"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: 1\nb: 2\na: 3", "r.yaml:3: 'a' is given twice (first at r.yaml:1)"),
        ("a: !!python/object/apply:os.system [touch here]", "r.yaml:1: the tag python/object/apply:os.system"),
        ("a: !env SECRET", "r.yaml:1: the tag !env is not allowed"),
        ("a: !!int x", "r.yaml:1: 'x' is not a valid int"),
        ("a: !!binary aGk=", "the tag binary is not allowed"),
        ("a: &x [*x]", "within itself"),
        ("b: {q: 1}\na:\n  <<: {p: 1}", "r.yaml:3: merge keys"),
        ("? [1, 2]\n: 3", "a key is not a word"),
        ("[" * 3000, "nested deeper"),
        ("a: " + "{b: " * 40 + "1" + "}" * 40, "nested deeper"),
        ("a: " + "x" * LARGEST_TEXT_BYTES, "larger than"),
    ],
)
def test_what_is_not_a_recipe_is_said_with_its_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        read_document(text, "r.yaml")
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_several_mistakes_come_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        read_document("a: !x 1\nb: 1\nb: 2\n", "r.yaml")
    assert len(caught.value.problems) == 2


def test_an_alias_bomb_stops_early() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    start = time.perf_counter()
    with pytest.raises(RecipeError, match=f"more than {MOST_VALUES} values"):
        read_document("\n".join(lines), "r.yaml")
    assert time.perf_counter() - start < 5


def test_an_anchor_given_twice_means_the_last_one_and_warns_of_nothing() -> None:
    text = "a: &x {r: 1}\nb: *x\nc: &x {r: 2}\nd: *x\n"
    assert read_document(text, "r.yaml").values == {"a": {"r": 1}, "b": {"r": 1}, "c": {"r": 2}, "d": {"r": 2}}


def test_an_alias_is_a_copy() -> None:
    assert read_document("a: &x [1, 2]\nb: *x", "r.yaml").values["b"] == [1, 2]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?\n\t 1", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RecipeError):
        document = read_document(text, "r.yaml")
        assert all(place.label.startswith("r.yaml") for place in document.places.values())
