from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from balora.data import LabelledText
from balora.data.splits import hold_out


def examples(labels: list[int]) -> list[LabelledText]:
    return [LabelledText(f"f:{i}", f"text {i}", None, label) for i, label in enumerate(labels)]


labels = st.lists(st.integers(0, 3), min_size=2, max_size=60)
shares = st.floats(0.01, 0.99)


@given(labels, shares, st.integers(0, 5), st.booleans())
def test_every_row_is_in_exactly_one_part_and_order_is_kept(
    labels: list[int], share: float, seed: int, stratify: bool
) -> None:
    rows = examples(labels)
    train, validation = hold_out(rows, share, seed, stratify)
    assert sorted(train + validation, key=rows.index) == rows
    assert train == sorted(train, key=rows.index)
    assert validation == sorted(validation, key=rows.index)
    assert train
    assert (train, validation) == hold_out(rows, share, seed, stratify)


@given(labels, shares, st.integers(0, 5))
def test_without_classes_the_share_is_exact(labels: list[int], share: float, seed: int) -> None:
    _, validation = hold_out(examples(labels), share, seed, stratify=False)
    assert len(validation) == min(max(round(share * len(labels)), 1), len(labels) - 1)


@given(labels, shares, st.integers(0, 5))
def test_with_classes_each_keeps_a_training_row_and_gives_its_share(labels: list[int], share: float, seed: int) -> None:
    rows = examples(labels)
    train, validation = hold_out(rows, share, seed, stratify=True)
    assert {row.label for row in train} == set(labels)
    total = min(max(round(share * len(labels)), 1), len(labels) - 1)
    for label in set(labels):
        expected = labels.count(label) * total / len(labels)
        assert sum(row.label == label for row in validation) <= expected + 1
    assert len(validation) <= total


def test_the_seed_matters() -> None:
    rows = examples([0] * 50)
    assert hold_out(rows, 0.2, 0, stratify=False) != hold_out(rows, 0.2, 1, stratify=False)
