"""Fingerprints change with what they stand for, and with nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from balora.adapters import AdapterConfig, attach_adapter
from balora.teacher.fingerprint import (
    collation_fingerprint,
    combined,
    example_fingerprint,
    precision_fingerprint,
    teacher_fingerprint,
)
from tests.adapters.families import disturb
from tests.support import rows, tiny


def examples_fingerprint(rows: Iterable[Mapping[str, Any]], ignored: frozenset[str]) -> str:
    return combined(example_fingerprint(row, ignored) for row in rows)


def test_the_student_s_numbers_do_not_count_and_the_base_s_do() -> None:
    model = attach_adapter(tiny.build("roberta", "sequence_classification"), AdapterConfig(r=4))
    before = teacher_fingerprint(model)
    disturb(model)
    assert teacher_fingerprint(model) == before
    with torch.no_grad():
        model.base_model.model.roberta.embeddings.word_embeddings.weight[5, 5] += 1e-6
    assert teacher_fingerprint(model) != before


def test_method_and_rank_share_a_teacher() -> None:
    prints = {
        teacher_fingerprint(attach_adapter(tiny.build("llama"), AdapterConfig(method=method, r=r)))
        for method, r in (("lora", 2), ("pissa", 4), ("dora", 4))
    }
    assert len(prints) == 1


def test_examples_count_in_order_and_without_what_is_ignored() -> None:
    examples = [{"input_ids": [1, 2], "labels": 0}, {"input_ids": [3], "labels": 1}]
    relabelled = [{**row, "labels": 7} for row in examples]
    ignored = frozenset({"labels"})
    assert examples_fingerprint(examples, ignored) == examples_fingerprint(relabelled, ignored)
    assert examples_fingerprint(examples, ignored) != examples_fingerprint(examples[::-1], ignored)
    assert examples_fingerprint(examples, frozenset()) != examples_fingerprint(relabelled, frozenset())
    tensors = [{**row, "input_ids": torch.tensor(row["input_ids"])} for row in examples]
    assert examples_fingerprint(tensors, ignored) == examples_fingerprint(examples, ignored)


def test_long_arrays_count_in_full() -> None:
    """The text of a numpy array leaves out its middle from 1000 numbers on."""
    ids = np.arange(2000)
    changed = ids.copy()
    changed[1000] = 7
    one, other = ([{"input_ids": array}] for array in (ids, changed))
    assert examples_fingerprint(one, frozenset()) != examples_fingerprint(other, frozenset())
    assert examples_fingerprint(one, frozenset()) == examples_fingerprint([{"input_ids": ids.tolist()}], frozenset())


@pytest.mark.parametrize(
    "change", [{"rms_norm_eps": 0.1}, {"pad_token_id": 5}, {"hidden_act": "relu"}, {"num_attention_heads": 8}], ids=str
)
def test_the_configuration_is_part_of_the_function(change: dict[str, object]) -> None:
    """The weights are the same, what they compute is not."""
    prints = [
        teacher_fingerprint(tiny.build("llama", "sequence_classification", num_key_value_heads=4, head_dim=8, **values))
        for values in ({}, change)
    ]
    assert prints[0] != prints[1]


def test_where_a_model_comes_from_does_not_count() -> None:
    one, other = (tiny.build("bert", "sequence_classification") for _ in range(2))
    other.config._name_or_path, other.config.transformers_version = "elsewhere", "9.9"
    other.config.id2label = {0: "no", 1: "yes"}
    assert teacher_fingerprint(one) == teacher_fingerprint(other)


def test_the_precision_of_the_forward_counts() -> None:
    model = tiny.build("bert", "sequence_classification")
    plain = precision_fingerprint(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert precision_fingerprint(model) != plain
    assert precision_fingerprint(model) == plain
    assert precision_fingerprint(model.bfloat16()) != plain


def test_what_the_collator_does_counts() -> None:
    examples = [{"input_ids": [5, 6, 7], "labels": 0}, {"input_ids": [5], "labels": 1}]
    ignored = frozenset({"labels"})
    left, right = (
        collation_fingerprint(rows.collator("classification", side=s), examples, ignored) for s in ("left", "right")
    )
    assert left != right
