"""A generation teacher that answers once per example, for any number of epochs and runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from balora.errors import ModelError
from balora.teacher import LiveTeacher
from tests.support import rows, tiny
from tests.training.test_fused_path import losses_after, trainer

EPOCHS = {"max_steps": 18}
"""Three epochs of 24 rows, 4 at a time."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sequences the live teacher is asked about, call by call."""
    counts: list[int] = []
    original = LiveTeacher.logits

    def logits(self: Any, model: Any, inputs: Any, given: Any = None) -> Any:
        counts.append(len(inputs["input_ids"]))
        return original(self, model, inputs, given)

    monkeypatch.setattr(LiveTeacher, "logits", logits)
    return counts


def cached(folder: Path, name: str, *, family: str = "llama", config: Any = None, **changes: Any) -> Any:
    settings = {"teacher": "cached", "teacher_cache_dir": folder / "cache", "self_check": False, **(config or {})}
    head = "seq2seq_lm" if family == "t5" else "causal_lm"
    model = tiny.build(family, head, tie_word_embeddings=True) if family == "t5" else tiny.build(family)
    return trainer(folder / name, model, encoder_decoder=family == "t5", config=settings, **{**EPOCHS, **changes})


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("tokens", ["response", "response_unshifted", "all"])
def test_three_epochs_with_the_cache_follow_three_live_ones(
    family: str, tokens: str, tmp_path: Path, asked: list[int]
) -> None:
    live = losses_after(
        cached(tmp_path, "live", family=family, config={"teacher": "live", "regularized_tokens": tokens})
    )
    before = len(asked)
    found = losses_after(cached(tmp_path, "cached", family=family, config={"regularized_tokens": tokens}))
    torch.testing.assert_close(found, live, rtol=1e-4, atol=1e-5)
    assert sum(asked[before:]) == (16 if family == "t5" else 24), "once per example"


def test_a_second_run_asks_nothing_and_a_stopped_one_is_continued(tmp_path: Path, asked: list[int]) -> None:
    cached(tmp_path, "stopped", max_steps=2).train()
    assert sum(asked) == 8
    first = losses_after(cached(tmp_path, "first"))
    assert sum(asked) == 24
    assert torch.equal(losses_after(cached(tmp_path, "second")), first)
    assert sum(asked) == 24
    cached(tmp_path, "other model", config={}, adapter=None, max_steps=1, data=rows.language_rows(seed=5)).train()
    assert sum(asked) == 28, "other data have their own file"


def test_runs_that_look_at_other_tokens_do_not_share_states(tmp_path: Path) -> None:
    cached(tmp_path, "response").train()
    unshifted = {"regularized_tokens": "response_unshifted"}
    found = losses_after(cached(tmp_path, "unshifted", config=unshifted))
    live = losses_after(cached(tmp_path, "live", config={**unshifted, "teacher": "live"}))
    torch.testing.assert_close(found, live, rtol=1e-4, atol=1e-5)


def test_a_sampled_teacher_fills_the_cache_piece_by_piece(tmp_path: Path, asked: list[int]) -> None:
    run = cached(tmp_path, "sampled", config={"teacher_fraction": 0.5})
    live = cached(tmp_path, "live", config={"teacher_fraction": 0.5, "teacher": "live"})
    torch.testing.assert_close(losses_after(run), losses_after(live), rtol=1e-4, atol=1e-5)


def test_under_autocast_half_the_bytes_hold_the_same_numbers(tmp_path: Path) -> None:
    found = [
        losses_after(cached(tmp_path, name, config={"teacher": name}, bf16=True, max_steps=12))
        for name in ("live", "cached")
    ]
    # Batches of other lengths round differently in 16 bits.
    torch.testing.assert_close(found[0], found[1], rtol=2e-2, atol=2e-3)
    (file,) = (tmp_path / "cache").glob("*.states")
    supervised = sum(label != -100 for row in rows.language_rows() for label in row["labels"][1:])
    assert file.stat().st_size == supervised * tiny.HIDDEN_SIZE * 2


def test_the_size_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "balora"):
        cached(tmp_path, "run", max_steps=1).train()
    assert "GiB in" in caplog.text


def test_without_the_fused_path_there_are_no_states_to_keep(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="loss_path is explicit"):
        cached(tmp_path, "run", config={"loss_path": "explicit"}).train()
