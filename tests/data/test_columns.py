from __future__ import annotations

import time

import pytest

from balora.data.columns import PAIRS, ROLES, SYNONYMS, explicit_columns, find_column, find_role, text_columns
from balora.data.delimited import read_delimited
from balora.data.formats import labelled_shape
from balora.data.settings import DataSettings
from balora.data.sources import EVERY_ROW
from balora.data.table import Table, table_of_objects
from balora.errors import DataError


def table(*names: str, header: bool = True) -> Table:
    rows = table_of_objects("f.csv", [dict.fromkeys(names, "x")], lambda row: f"f.csv:{row}")
    return rows if header else Table("f.csv", names, 1, rows.column, rows.place, has_header=False)


def test_every_role_but_the_second_text_has_synonyms_and_leads_them() -> None:
    assert set(SYNONYMS) == set(ROLES) - {"text_pair"}
    assert all(names[0] == role for role, names in SYNONYMS.items())


def test_spelling_is_overlooked_unless_it_is_ambiguous() -> None:
    assert find_column(["Sentence A"], "sentence_a") == "Sentence A"
    assert find_column(["label", "Label"], "label") == "label"
    assert find_column(["LABEL", "Label"], "label") is None


@pytest.mark.parametrize(
    ("role", "column"),
    [("query", "question"), ("query", "instruction"), ("query", "problem"), ("response", "answer"),
     ("response", "solution"), ("label", "gold_label"), ("label", "class"), ("score", "relatedness_score"),
     ("messages", "conversations"), ("input", "context")],
)  # fmt: skip
def test_synonyms(role: str, column: str) -> None:
    assert find_role(table("id", column), role) == column


def test_the_role_s_own_name_wins_and_otherwise_two_synonyms_are_an_error() -> None:
    assert find_role(table("answer", "response"), "response") == "response"
    with pytest.raises(DataError, match=r"f\.csv: 'response' could be 'answer' or 'solution'; set data.columns"):
        find_role(table("answer", "solution"), "response")


@pytest.mark.parametrize("names", PAIRS)
def test_usual_pairs(names: tuple[str, str]) -> None:
    assert text_columns(table("id", *names), {}, None) == {"text": names[0], "text_pair": names[1]}


def test_a_pair_wins_over_the_single_text_inside_it() -> None:
    both = table("question", "sentence")
    assert text_columns(both, {}, None) == {"text": "question", "text_pair": "sentence"}
    assert text_columns(both, {}, pair=False) == {"text": "sentence"}


@pytest.mark.parametrize("names", [("premise", "hypothesis", "text"), ("sentence", "review")])
def test_two_readings_are_an_error(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"'text' could be"):
        text_columns(table(*names), {}, None)


def test_no_reading_names_the_closest_column() -> None:
    with pytest.raises(DataError, match=r"no column for 'text' .*found 'sentense'; did you mean 'sentense'\? then set"):
        text_columns(table("sentense"), {}, None)


def test_a_first_line_that_looks_like_data_is_hinted_at() -> None:
    with pytest.raises(DataError, match=r"data.header: false"):
        text_columns(table("gj04", "1", ""), {}, None)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"txt": "a"}, "data.columns.txt: 'txt' is no role; did you mean 'text'"),
        ({"a": "text"}, "write the role first: text: a"),
        ({"query": "a"}, "the role 'query' is not used here; roles in use: text, label"),
        ({"text": "b"}, "f.csv has no column 'b'; found 'a', 'c'"),
        ({"text": 2}, "f.csv has no column 2; count from 0 to 1"),
        ({"text": -1}, "f.csv has no column -1"),
    ],
)
def test_mistakes_in_the_mapping(columns: dict[str, str | int], what: str) -> None:
    with pytest.raises(DataError) as error:
        explicit_columns(table("a", "c"), columns, ("text", "label"))
    assert what in str(error.value)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(DataError) as error:
        explicit_columns(table("a"), {"txt": "a", "label": "z"}, ("text", "label"))
    assert len(error.value.problems) == 2


def test_positions_and_names() -> None:
    assert explicit_columns(table("a", "c"), {"text": 1, "label": "a"}, ("text", "label")) == {
        "text": "c",
        "label": "a",
    }
    with pytest.raises(DataError, match=r"has no header, so no column 'word'; give a position, 0 to 1"):
        explicit_columns(table("0", "1", header=False), {"text": "word"}, ("text",))


def test_twenty_thousand_columns_are_looked_through_in_time() -> None:
    text = ",".join(f"c{n}" for n in range(20_000)) + "\n" + ",".join("1" * 20_000) + "\n"
    settings = DataSettings(train="t.csv")
    began = time.process_time()
    read = read_delimited("t.csv", text, settings, EVERY_ROW, None)
    with pytest.raises(DataError, match=r"'c11' and 19988 more"):
        labelled_shape(read, settings, "classification", None)
    assert time.process_time() - began < 2
