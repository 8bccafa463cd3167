from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data.bad_rows import BadRows
from balora.data.table import table_of_objects
from balora.data.texts import optional_texts, template_texts, text_fault, usable_texts

VALUES = ["fine", None, "", " \n", 5, 2.5, True, ["x"], {"a": 1}, "\ud800"]


def table(values: list[object]) -> object:
    return table_of_objects("f", [{"a": value} for value in values], lambda row: f"f:{row}")


@given(st.text(st.characters(codec="utf-8")))
def test_text_is_usable_exactly_when_it_is_not_blank(text: str) -> None:
    assert (text_fault(text) is None) == bool(text.strip())


@pytest.mark.parametrize("text", ["NA", "null", "None", "nan", "0", "false"])
def test_words_for_nothing_are_text(text: str) -> None:
    assert text_fault(text) is None


def test_every_other_value_marks_its_row() -> None:
    bad = BadRows("f")
    assert usable_texts(table(VALUES), "a", bad) == ["fine"] + [""] * (len(VALUES) - 1)
    assert bad.rows == set(range(1, len(VALUES)))
    whats = [problem.what for problem in bad.problems()]
    assert "'a' is a number, expected text (5)" in whats
    assert "'a' is a list, expected text (['x'])" in whats


def test_optional_text_may_be_missing_or_blank_but_not_of_another_kind() -> None:
    bad = BadRows("f")
    optional_texts(table(VALUES), "a", bad)
    assert bad.rows == {4, 5, 6, 7, 8, 9}
    assert optional_texts(table(VALUES), None, bad) == [""] * len(VALUES)


def test_a_placeholder_may_be_blank_or_a_number_but_not_missing() -> None:
    bad = BadRows("f")
    assert template_texts(table(VALUES), "a", bad)[2:7] == ["", " \n", "5", "2.5", "True"]
    assert bad.rows == {1, 7, 8, 9}
