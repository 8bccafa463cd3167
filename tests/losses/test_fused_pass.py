"""How a batch is cut into chunks changes neither values nor gradients, and bounds the memory."""

from __future__ import annotations

import pytest
import torch

from balora.losses import FusedOptions, fused_generation_objective
from balora.losses.fused_pass import chunk_rows
from tests.losses.test_fused import ALL_ON, PAPER, assert_same, batch, with_gradient


def test_many_chunks_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.losses.fused_pass.ROW_MULTIPLE", 1)
    student, teacher, head, labels = batch(rows=33)
    reports = [
        with_gradient(
            lambda leaf, size=size: fused_generation_objective(
                leaf, teacher, head, labels, weights=ALL_ON, options=FusedOptions(chunk_bytes=size), **PAPER
            ),
            student,
        )
        for size in (24 * 50 * 4, 1 << 29)
    ]
    assert_same(reports[0][0], reports[1][0], 1e-12)
    torch.testing.assert_close(reports[0][1], reports[1][1])


def test_the_chunk_s_memory_does_not_depend_on_the_rows() -> None:
    sizes = [chunk_rows(rows, 151_936, 1 << 29) for rows in (1000, 10_000, 1_000_000)]
    assert sizes == [128, 128, 128]
    assert chunk_rows(5, 151_936, 1 << 29) == 5
    assert chunk_rows(1000, 151_936, 1) == 64
