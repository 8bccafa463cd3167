from __future__ import annotations

import numpy as np
import pytest

from balora.data.encoded import EncodedRow, rows_as_dataset


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize("chunk", [1, 2, 10_000])
def test_rows_come_back_whatever_the_chunk(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.data.encoded._CHUNK_ROWS", chunk)
    rows = [EncodedRow(ints(*range(length)), ints(*[-100] * length)) for length in (3, 1, 4, 2, 5)]
    dataset = rows_as_dataset(rows, "f")
    assert dataset.column_names == ["input_ids", "attention_mask", "row", "labels"]
    for index, row in enumerate(rows):
        found = dataset[index]
        assert found["input_ids"] == row.ids.tolist()
        assert found["labels"] == row.labels.tolist()
        assert found["attention_mask"] == [1] * len(row.ids)
        assert found["row"] == index


def test_class_ids_are_whole_and_scores_are_not() -> None:
    classes = rows_as_dataset([EncodedRow(ints(1), np.array(label)) for label in (0, 2)], "f")
    scores = rows_as_dataset([EncodedRow(ints(1), np.array(label)) for label in (0.5, 2.0)], "f")
    assert [type(value) for value in classes[:]["labels"]] == [int, int]
    assert scores[:]["labels"] == [0.5, 2.0]


def test_rows_without_labels_have_no_such_column() -> None:
    assert "labels" not in rows_as_dataset([EncodedRow(ints(1), None)], "f").column_names


def test_token_types_are_kept_only_where_they_say_something() -> None:
    flat = [EncodedRow(ints(1, 2), None, ints(0, 0)) for _ in range(2)]
    assert "token_type_ids" not in rows_as_dataset(flat, "f").column_names
    paired = [*flat, EncodedRow(ints(1, 2), None, ints(0, 1))]
    assert rows_as_dataset(paired, "f")[:]["token_type_ids"] == [[0, 0], [0, 0], [0, 1]]


def test_the_content_is_the_fingerprint() -> None:
    assert rows_as_dataset([EncodedRow(ints(1), None)], "abc")._fingerprint == "abc"
