from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from balora.data.fingerprint import bytes_sha256, rows_sha256

Rows = list[tuple[list[int], list[int]]]
row_lists = st.lists(st.tuples(st.lists(st.integers(0, 9)), st.lists(st.integers(-100, 9))), max_size=4)


def digest(rows: Rows, dtype: str = "int64") -> str:
    return rows_sha256([(np.array(ids, dtype=dtype), np.array(labels, dtype="int64")) for ids, labels in rows])


@given(row_lists, row_lists)
def test_equal_exactly_when_the_rows_are_equal(first: Rows, second: Rows) -> None:
    assert (digest(first) == digest(second)) == (first == second)


def test_independent_of_the_integer_width() -> None:
    rows = [([1, 2, 3], [4])]
    assert digest(rows, "int32") == digest(rows, "int64")


def test_scores_count_with_all_their_digits() -> None:
    ids = np.array([1])
    scores = [rows_sha256([(ids, np.array([score]))]) for score in (0.1, 0.1 + 1e-15, 0.2)]
    assert len(set(scores)) == 3


def test_bytes() -> None:
    assert bytes_sha256(b"abc").startswith("ba7816bf8f01cfea")
