from __future__ import annotations

from balora.data.bad_rows import SHOWN, BadRows
from balora.errors import Problem


def test_the_first_few_of_each_kind_are_named_and_all_are_counted() -> None:
    bad = BadRows("f.csv")
    for row in range(12):
        bad.add(row, "'a' is missing", Problem(f"f.csv:{row + 2}", "'a' is missing", "add it"))
    bad.add(20, "'b' is empty", Problem("f.csv:22", "'b' is empty", "add it"))
    lines = [str(problem) for problem in bad.problems()]
    assert lines[:SHOWN] == [f"f.csv:{row + 2}: 'a' is missing; add it" for row in range(SHOWN)]
    assert lines[SHOWN] == "f.csv: 12 rows in all: 'a' is missing; add it"
    assert lines[SHOWN + 1] == "f.csv:22: 'b' is empty; add it"


def test_a_row_counts_once_by_its_first_fault() -> None:
    bad = BadRows("f.csv", unreadable=2)
    bad.add(1, "first", Problem("f.csv:1", "first"))
    bad.add(1, "second", Problem("f.csv:1", "second"))
    assert bad.count == 3
    assert [problem.what for problem in bad.problems()] == ["first"]


def test_summary_names_kinds_with_counts_and_the_first_row() -> None:
    bad = BadRows("f.csv")
    bad.add(1, "empty", Problem("f.csv:2", "empty"))
    bad.add(3, "empty", Problem("f.csv:4", "empty"))
    assert bad.summary(10) == "f.csv: left out 2 of 10 rows: empty (2); first f.csv:2"
