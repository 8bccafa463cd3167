from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data.sources import EVERY_ROW, RowSlice
from balora.data.structured import read_json, read_parquet
from balora.errors import DataError

ROWS = [{"a": "x", "b": 1}, {"a": "y", "b": 2}, {"a": "z", "b": 3}]

FORMS = {
    "lines": "\n".join(json.dumps(row) for row in ROWS),
    "crlf lines with gaps": "\r\n\r\n".join(json.dumps(row) for row in ROWS),
    "list": json.dumps(ROWS, indent=2),
    "by row number": json.dumps({str(i): row for i, row in enumerate(ROWS)}),
    "under a key": json.dumps({"version": 1, "data": ROWS}),
    "columns": json.dumps({"a": ["x", "y", "z"], "b": [1, 2, 3]}),
}


@pytest.mark.parametrize(
    ("form", "name"),
    # One object in a jsonl file is one row, whatever it holds.
    [(form, "x.json") for form in FORMS] + [(form, "x.jsonl") for form in ("lines", "crlf lines with gaps", "list")],
)
def test_every_form_gives_the_same_rows(form: str, name: str) -> None:
    table = read_json(name, FORMS[form], EVERY_ROW)
    assert [table.column("a"), table.column("b")] == [["x", "y", "z"], [1, 2, 3]]
    assert len({table.place(row) for row in range(3)}) == 3


@pytest.mark.parametrize("form", FORMS)
def test_slices_keep_the_places_of_the_whole_file(form: str) -> None:
    whole = read_json("x.json", FORMS[form], EVERY_ROW)
    part = read_json("x.json", FORMS[form], RowSlice.parse("1:", "here"))
    assert part.column("a") == ["y", "z"]
    assert part.place(0) == whole.place(1)


def test_places() -> None:
    places = [read_json("x.json", FORMS[form], EVERY_ROW).place(1) for form in FORMS]
    assert places == ["x.json:2", "x.json:3", "x.json[1]", 'x.json["1"]', "x.json.data[1]", "x.json[1]"]


def test_a_broken_line_is_set_aside_with_line_and_reason() -> None:
    table = read_json("x.jsonl", '{"a": "x"}\n{"a":\n[1]\n{"a": "y"}\n', EVERY_ROW)
    assert table.column("a") == ["x", "y"]
    assert [row.problem.where for row in table.broken] == ["x.jsonl:2", "x.jsonl:3"]
    assert "Expecting value at column" in table.broken[0].problem.what
    assert "a list, but every line must be an object" in table.broken[1].problem.what
    assert table.place(1) == "x.jsonl:4"


def test_a_broken_document_is_located_by_line() -> None:
    with pytest.raises(DataError, match=r"x\.json:3: not valid JSON"):
        read_json("x.json", '[\n{"a": 1},\n{"a" 2}\n]', EVERY_ROW)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (" \n", "the file is empty"),
        ("3", "holds a number"),
        ('"text"', "holds a string"),
        ('{"a": 1}', "holds no list of rows"),
        ('{"train": [{"a": 1}], "dev": [{"a": 2}]}', r"2 lists of rows \(train, dev\)"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_documents_without_rows(text: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read_json("x.json", text, EVERY_ROW)


def test_rows_of_a_list_that_are_no_objects_are_set_aside() -> None:
    table = read_json("x.json", '[{"a": 1}, "no"]', EVERY_ROW)
    assert [row.problem.where for row in table.broken] == ["x.json[1]"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_document_is_a_table_or_a_data_error(document: object) -> None:
    try:
        table = read_json("x.json", json.dumps(document), EVERY_ROW)
    except DataError:
        return
    for name in table.names:
        assert len(table.column(name)) == table.rows


def parquet(table: object, tmp_path: Path) -> bytes:
    pq.write_table(table, tmp_path / "x.parquet")
    return (tmp_path / "x.parquet").read_bytes()


def test_parquet_rows_and_places(tmp_path: Path) -> None:
    content = parquet(pa.table({"a": ["x", None, "z"], "b": [1, 2, 3]}), tmp_path)
    table = read_parquet("x.parquet", content, RowSlice.parse("1:", "here"))
    assert [table.column("a"), table.column("b")] == [[None, "z"], [2, 3]]
    assert table.place(0) == "x.parquet[1]"


def test_class_names_that_datasets_wrote_into_parquet_are_used(tmp_path: Path) -> None:
    features = datasets.Features({"label": datasets.ClassLabel(names=["no", "yes"])})
    datasets.Dataset.from_dict({"label": [1, 0, -1]}, features=features).to_parquet(tmp_path / "y.parquet")
    table = read_parquet("y.parquet", (tmp_path / "y.parquet").read_bytes(), EVERY_ROW)
    assert table.column("label") == ["yes", "no", -1]
    assert table.class_names == {"label": ("no", "yes")}


def test_what_is_no_parquet_file_is_said() -> None:
    with pytest.raises(DataError, match=r"x\.parquet: not a readable parquet file"):
        read_parquet("x.parquet", b"PAR1 nothing", EVERY_ROW)
