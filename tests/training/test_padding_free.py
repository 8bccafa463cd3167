"""Batches without padding compute what padded ones compute, for student and teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from balora.teacher import transformers_model
from balora.training.padding_free import PackedBatch, packing_gap
from tests.support import rows, tiny
from tests.training.test_fused_path import losses, losses_after, trainer


@pytest.mark.parametrize("side", ["left", "right"])
def test_packing_and_padding_are_inverse(side: str) -> None:
    batch = rows.collator("generation", side=side)([rows.language_rows()[index] for index in range(5)])
    packed = PackedBatch.of({"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]})
    assert packed.inputs["input_ids"].shape == (1, int(batch["attention_mask"].sum()))
    assert (packed.inputs["position_ids"] == 0).sum() == 5
    back = packed.padded(packed.inputs["input_ids"][..., None].float()).squeeze(-1)
    assert torch.equal(back.long(), batch["input_ids"] * batch["attention_mask"])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi"])
def test_sequences_in_one_row_do_not_see_each_other(family: str, attention: str) -> None:
    model = tiny.build(family)
    model.set_attn_implementation(attention)
    assert packing_gap(model) < 1e-5


@pytest.mark.parametrize("changes", [{}, {"loss_path": "explicit"}, {"teacher_fraction": 0.5}])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_run_without_padding_follows_the_padded_one(family: str, changes: Any, tmp_path: Path) -> None:
    found = []
    for setting in (True, False):
        run = trainer(
            tmp_path / str(setting),
            tiny.build(family),
            config={"padding_free": setting, "self_check": False, **changes},
            max_steps=20,
        )
        assert run.packs is setting
        seen: list[int] = []
        transformers_model(run.model).register_forward_pre_hook(
            lambda _module, _args, given, seen=seen: seen.append(len(given["input_ids"])), with_kwargs=True
        )
        found.append(losses_after(run))
        assert (max(seen) == 1) is setting, "student and teacher alike"
        found.append(torch.tensor(run.evaluate()["eval_loss"]))
    torch.testing.assert_close(found[0], found[2], rtol=2e-3, atol=2e-4)
    torch.testing.assert_close(found[1], found[3], rtol=1e-4, atol=1e-5)


def test_auto_packs_only_where_attention_takes_lengths(tmp_path: Path) -> None:
    run = trainer(tmp_path, tiny.build("llama"))
    assert (run.packs, run.padded_because) == (False, "")


def test_what_cannot_be_packed_says_why(tmp_path: Path) -> None:
    run = trainer(
        tmp_path,
        tiny.build("t5", "seq2seq_lm", tie_word_embeddings=True),
        encoder_decoder=True,
        config={"padding_free": True},
    )
    assert not run.packs
    assert "decoder-only" in run.padded_because
    mixing = tiny.build("llama")
    mixing.model.layers[0].register_forward_hook(
        lambda _module, _inputs, output: output + output.mean(dim=1, keepdim=True)
    )
    run = trainer(tmp_path, mixing, config={"padding_free": True})
    assert not run.packs
    assert "apart" in run.padded_because


def test_whoever_asks_for_logits_gets_them_padded(tmp_path: Path) -> None:
    run = trainer(tmp_path, tiny.build("llama"), config={"padding_free": True}, max_steps=1)
    run.train()
    assert losses(run).shape[0] == 1
    predicted = run.predict(run.eval_dataset).predictions
    assert predicted.shape[0] == len(run.eval_dataset)
