"""Splits: the validation share held out of the training rows."""

from __future__ import annotations

import random
from collections.abc import Sequence

from balora.data.examples import Example, LabelledText


def hold_out(
    examples: Sequence[Example], share: float, seed: int, stratify: bool
) -> tuple[list[Example], list[Example]]:
    """Training and validation examples, each in the order of the source; the same for the same seed.

    `share` of the rows, rounded, at least one and never all. With `stratify` each class gives its share, and a class
    of one row stays in training.

    >>> rows = [LabelledText(str(i), "text", None, i % 2) for i in range(10)]
    >>> [len(part) for part in hold_out(rows, 0.2, 0, True)]
    [8, 2]
    """
    total = min(max(round(share * len(examples)), 1), len(examples) - 1)
    generator = random.Random(seed)
    order = list(range(len(examples)))
    generator.shuffle(order)
    chosen = set(_stratified(examples, order, total) if stratify else order[: max(total, 0)])
    kept = [example for row, example in enumerate(examples) if row not in chosen]
    return kept, [example for row, example in enumerate(examples) if row in chosen]


def _stratified(examples: Sequence[Example], order: Sequence[int], total: int) -> list[int]:
    """Rows chosen class by class: each class's whole share, then the largest remainders until `total` is reached."""
    classes: dict[object, list[int]] = {}
    for row in order:
        example = examples[row]
        classes.setdefault(example.label if isinstance(example, LabelledText) else None, []).append(row)
    exact = {label: len(rows) * total / len(order) for label, rows in classes.items()}
    taken = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(classes, key=lambda label: (taken[label] - exact[label], str(label)))
    for label in by_remainder:
        if sum(taken.values()) < total and taken[label] < len(classes[label]) - 1:
            taken[label] += 1
    return [row for label, rows in classes.items() for row in rows[: taken[label]]]
