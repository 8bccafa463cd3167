from __future__ import annotations

from balora.data.table import BrokenRow, table_of_objects
from balora.errors import Problem


def test_columns_are_all_keys_in_order_of_appearance_and_gaps_are_none() -> None:
    table = table_of_objects("x.jsonl", [{"b": 1}, {"a": 2, "b": 3}], lambda row: f"x.jsonl:{row + 1}")
    assert table.names == ("b", "a")
    assert table.column("a") == [None, 2]
    assert table.place(1) == "x.jsonl:2"


def test_rows_read_counts_broken_rows() -> None:
    broken = (BrokenRow("kind", Problem("x:1", "what")),)
    assert table_of_objects("x", [{"a": 1}], lambda row: "x", broken).rows_read == 2


def test_found_shortens_a_long_list_of_columns() -> None:
    wide = table_of_objects("x", [{f"c{i}": 0 for i in range(30)}], lambda row: "x")
    assert wide.found().endswith("'c11' and 18 more")
    assert table_of_objects("x", [{}], lambda row: "x").found() == "found no columns"
