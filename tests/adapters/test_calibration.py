"""The calibration sample: a seeded draw, batches without what is not for the model, an identity."""

from __future__ import annotations

import torch

from balora.adapters import Calibration, draw_rows
from tests.support import rows, tiny


def test_the_draw_is_a_sample_without_repeats_that_its_seed_repeats() -> None:
    drawn = draw_rows(100, 30, seed=3)
    assert drawn == sorted(set(drawn)) == draw_rows(100, 30, seed=3)
    assert len(drawn) == 30
    assert drawn != draw_rows(100, 30, seed=4)
    torch.manual_seed(1)
    assert draw_rows(100, 30, seed=3) == drawn, "the global generator has no say"
    assert draw_rows(4, 30, seed=3) == [0, 1, 2, 3]


def test_batches_hold_every_row_once_and_nothing_that_only_the_trainer_reads() -> None:
    data = rows.language_rows(7)
    sample = Calibration(data.to_list(), rows.collator("generation"))
    batches = list(sample.batches(tiny.build("llama"), 3))
    assert [len(batch["input_ids"]) for batch in batches] == [3, 3, 1]
    assert all("row" not in batch and "labels" in batch for batch in batches)
    pairs = [pair for b in batches for pair in zip(b["input_ids"], b["attention_mask"], strict=True)]
    tokens = [ids[mask.bool()].tolist() for ids, mask in pairs]
    assert tokens == data["input_ids"]


def test_the_identity_is_what_a_record_needs() -> None:
    sample = Calibration([{}, {}], dict, source="notes.txt", fingerprint="abc", seed=5)
    assert sample.identity() == {"source": "notes.txt", "rows": 2, "seed": 5, "fingerprint": "abc"}
