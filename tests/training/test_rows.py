"""Row numbers pass through any collator."""

from __future__ import annotations

from typing import Any

import datasets
import torch

from balora.training.rows import RowKeepingCollator, has_row_numbers, with_row_numbers


def strict(examples: list[dict[str, Any]]) -> dict[str, Any]:
    assert all(set(example) == {"x"} for example in examples)
    return {"x": torch.tensor([example["x"] for example in examples])}


def test_a_collator_that_knows_nothing_of_rows_keeps_them() -> None:
    batch = RowKeepingCollator(strict)([{"x": 1, "row": 5}, {"x": 2, "row": 3}])
    assert batch["row"].tolist() == [5, 3]
    assert "row" not in RowKeepingCollator(strict)([{"x": 1}])


def test_numbers_are_added_once_and_only_where_they_can_be() -> None:
    plain = datasets.Dataset.from_dict({"x": [7, 8]})
    numbered = with_row_numbers(plain)
    assert numbered["row"] == [0, 1]
    assert with_row_numbers(numbered) is numbered
    assert has_row_numbers(numbered)
    assert not has_row_numbers(plain)
    stream = [{"x": 1}]
    assert with_row_numbers(stream) is stream
