"""Fingerprints change with what they stand for, and with nothing else."""

from __future__ import annotations

import torch

from balora.adapters import AdapterConfig, attach_adapter
from balora.teacher.fingerprint import examples_fingerprint, teacher_fingerprint
from tests.adapters.families import disturb
from tests.support import tiny


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
    rows = [{"input_ids": [1, 2], "labels": 0}, {"input_ids": [3], "labels": 1}]
    relabelled = [{**row, "labels": 7} for row in rows]
    ignored = frozenset({"labels"})
    assert examples_fingerprint(rows, ignored) == examples_fingerprint(relabelled, ignored)
    assert examples_fingerprint(rows, ignored) != examples_fingerprint(rows[::-1], ignored)
    assert examples_fingerprint(rows, frozenset()) != examples_fingerprint(relabelled, frozenset())
    tensors = [{**row, "input_ids": torch.tensor(row["input_ids"])} for row in rows]
    assert examples_fingerprint(tensors, ignored) == examples_fingerprint(rows, ignored)
