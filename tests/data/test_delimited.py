from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data import DataSettings, preset_named
from balora.data.delimited import Dialect, read_delimited, read_records
from balora.data.sources import EVERY_ROW, RowSlice
from balora.data.table import Table
from balora.errors import DataError

CSV = Dialect(",", quoting=True)
TSV = Dialect("\t", quoting=False)

cells = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)


def read(name: str, text: str, preset: str | None = None, **settings: object) -> Table:
    data = DataSettings(train=name, **settings)
    known = preset_named(preset, "classification") if preset else None
    return read_delimited(name, text, data, EVERY_ROW, known)


def rows_of(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*(table.column(name) for name in table.names), strict=True))


@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [list(record.fields) for record in read_records(buffer.getvalue(), CSV, "x.csv")] == rows


@given(st.lists(st.lists(cells.filter(lambda c: not set(c) & {"\t", "\n"}), min_size=2, max_size=4), min_size=1))
def test_plain_fields_are_read_as_they_stand(rows: list[list[str]]) -> None:
    text = "\r\n".join("\t".join(row) for row in rows)
    assert [list(record.fields) for record in read_records(text, TSV, "x.tsv")] == rows


def test_records_know_the_line_they_start_on() -> None:
    records = list(read_records('a,b\n"x\ny",2\n\n"z",3\n', CSV, "x.csv"))
    assert [record.line for record in records] == [1, 2, 5]


def test_missing_value_words_stay_text() -> None:
    assert rows_of(read("x.csv", "text,label\nNA,null\nnan,None\n")) == [("NA", "null"), ("nan", "None")]


def test_quotes_in_tsv_are_ordinary_characters_and_in_csv_enclose_fields() -> None:
    assert rows_of(read("x.tsv", 'a\tb\n"x\t"y"\n')) == [('"x', '"y"')]
    assert rows_of(read("x.csv", 'a,b\n"x,1","say ""hi"""\n')) == [("x,1", 'say "hi"')]
    assert rows_of(read("x.tsv", 'a\tb\n"x\t1"\ty\n', quoting=True)) == [("x\t1", "y")]


def test_a_field_may_be_longer_than_the_csv_module_allows_by_default() -> None:
    limit = csv.field_size_limit()
    long = "x" * (limit + 1)
    assert rows_of(read("x.csv", f'a,b\n"{long}",1\n')) == [(long, "1")]
    assert csv.field_size_limit() == limit


def test_only_line_feeds_end_a_plain_line() -> None:
    assert rows_of(read("x.tsv", "a\tb\none\u2028two\x0cthree\t1\r\n")) == [("one\u2028two\x0cthree", "1")]


def test_an_unclosed_quote_is_located_where_it_opens() -> None:
    with pytest.raises(DataError, match=r"x\.csv:3: a double quote opened in this record is never closed"):
        read("x.csv", 'a,b\n1,2\n"oops,3\n' + "4,5\n" * 100)


def test_text_behind_a_closing_quote_is_refused_with_its_line() -> None:
    with pytest.raises(DataError, match=r"x\.csv:2: not valid csv"):
        read("x.csv", 'a,b\n"one"two,3\n')


def test_ragged_rows_are_set_aside_with_line_and_widths() -> None:
    table = read("x.tsv", "a\tb\n1\n2\t3\n4\t5\t6\n")
    assert rows_of(table) == [("2", "3")]
    assert [str(row.problem).partition(";")[0] for row in table.broken] == [
        "x.tsv:2: 1 fields, but the header has 2",
        "x.tsv:4: 3 fields, but the header has 2",
    ]
    assert table.place(0) == "x.tsv:3"


def test_a_ragged_plain_row_with_quotes_hints_at_quoting() -> None:
    table = read("x.tsv", 'a\tb\n"one\n')
    assert "data.quoting: true" in table.broken[0].problem.fix


def test_positions_mean_there_is_no_header_unless_the_settings_say_so() -> None:
    assert read("x.csv", "good,1\nbad,0\n", columns={"text": 0, "label": 1}).rows == 2
    assert read("x.csv", "good,1\nbad,0\n", columns={"text": 0, "label": 1}, header=True).names == ("good", "1")
    assert read("x.csv", "good,1\n", header=False).names == ("0", "1")


def test_the_raw_layout_of_a_preset_needs_no_settings() -> None:
    table = read("x.tsv", "gj04\t1\t\tA sentence.\nbc01\t0\t*\tNo sentence\n", preset="cola")
    assert not table.has_header
    assert table.column(table.roles["text"]) == ["A sentence.", "No sentence"]
    assert table.column(table.roles["label"]) == ["1", "0"]


def test_a_preset_file_with_a_header_keeps_it() -> None:
    assert read("x.tsv", "sentence\tlabel\nfine\t1\n", preset="sst2").names == ("sentence", "label")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("text,label,text", "the header names 'text' more than once"),
        ("text;label", "set data.delimiter: ';'"),
        ("text\tlabel", r"set data.delimiter: '\\t'"),
    ],
)
def test_unusable_headers(header: str, what: str) -> None:
    with pytest.raises(DataError, match=rf"x\.csv:1: .*{what}"):
        read("x.csv", f"{header}\n1,2\n")


@pytest.mark.parametrize("delimiter", ["\t", "\\t", "tab"])
def test_spellings_of_the_tab(delimiter: str) -> None:
    assert read("x.csv", "a\tb\n1\t2\n", delimiter=delimiter).names == ("a", "b")


@pytest.mark.parametrize("delimiter", ["", "||", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    with pytest.raises(DataError, match=r"data.delimiter: .* is not one character"):
        read("x.csv", "a,b\n", delimiter=delimiter)


def test_txt_is_lines_without_tabs_and_a_table_with_them() -> None:
    lines = read("x.txt", "first line\n\n  \nsecond, line\n")
    assert rows_of(lines) == [("first line",), ("second, line",)]
    assert lines.place(1) == "x.txt:4"
    assert read("x.txt", "a\tb\n1\t2\n").names == ("a", "b")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"x\.csv: the file is empty"):
        read("x.csv", "\n\n")


def test_a_slice_counts_records_not_lines() -> None:
    rows = RowSlice.parse("1:2", "here")
    table = read_delimited("x.csv", 'a,b\n"x\ny",1\nz,2\nw,3\n', DataSettings(train="x.csv"), rows, None)
    assert rows_of(table) == [("z", "2")]
