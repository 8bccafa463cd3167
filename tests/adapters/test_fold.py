"""An anchor folded into the base: the same student, teacher and saved adapter as with the anchor beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError

from balora.adapters import AdapterConfig, adapters_off, attach_adapter, load_trainable_state, save_trainable_state
from balora.adapters.fold import folded_layers
from balora.errors import ModelError
from balora.teacher import probe_inputs, probe_logits
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.adapters.families import disturb
from tests.support import rows, tiny

FAMILIES = {"llama": "causal_lm", "gpt2": "causal_lm", "roberta": "sequence_classification", "t5": "seq2seq_lm"}


def pair(family: str = "llama", **changes: Any) -> tuple[Any, Any]:
    """The same start, anchor folded and beside."""
    return tuple(
        attach_adapter(tiny.build(family, FAMILIES[family]), AdapterConfig(r=4, alpha=6, fold_anchor=fold, **changes))
        for fold in (True, False)
    )  # type: ignore[return-value]


def logits(model: Any) -> torch.Tensor:
    return probe_logits(model, probe_inputs(model))


@pytest.mark.parametrize("method", ["pissa", "milora", "olora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_student_and_teacher_are_those_of_the_anchor_beside(family: str, method: str) -> None:
    base = logits(tiny.build(family, FAMILIES[family]))
    folded, beside = pair(family, method=method)
    assert len(folded_layers(folded)) > 0
    assert not folded_layers(beside)
    with adapters_off(folded):
        torch.testing.assert_close(logits(folded), base, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits(folded), base, rtol=1e-4, atol=1e-4)
    for model in (folded, beside):
        disturb(model)
    moved = logits(folded)
    assert (moved - base).abs().max() > 0.01
    torch.testing.assert_close(moved, logits(beside), rtol=1e-4, atol=1e-4)
    with adapters_off(folded):
        torch.testing.assert_close(logits(folded), base, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_saved_adapter_is_for_the_pretrained_model(family: str, tmp_path: Path) -> None:
    folded, _ = pair(family)
    disturb(folded)
    folded.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(tiny.build(family), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(folded), rtol=1e-4, atol=1e-4)
    merged = logits(folded)
    torch.testing.assert_close(logits(folded.merge_and_unload()), merged, rtol=1e-4, atol=1e-4)


def test_training_follows_the_anchor_beside(tmp_path: Path) -> None:
    curves = []
    for fold in (True, False):
        run = BALoraTrainer(
            model=prepare_model(tiny.build("llama"), AdapterConfig(r=4, fold_anchor=fold)),
            args=rows.arguments(tmp_path / str(fold), max_steps=20),
            config=BALoraConfig.nlg(consistency_weight=0.3),
            train_dataset=rows.language_rows(),
            data_collator=rows.collator("generation"),
        )
        run.train()
        curves.append([(log["task_loss"], log["consistency"]) for log in run.state.log_history if "loss" in log])
    torch.testing.assert_close(torch.tensor(curves[0]), torch.tensor(curves[1]), rtol=2e-3, atol=2e-4)


def test_a_checkpoint_with_another_anchor_brings_its_base_along(tmp_path: Path) -> None:
    """As after a resume on a machine whose SVD differs."""
    written, _ = pair(svd="randomized", svd_iterations=0, seed=1)
    disturb(written)
    save_trainable_state(written, tmp_path)
    other, _ = pair(svd="randomized", svd_iterations=0, seed=2)
    name, layer = next(iter(folded_layers(other).items()))
    same = folded_layers(written)[name]
    assert not torch.equal(layer.get_base_layer().weight, same.get_base_layer().weight)
    load_trainable_state(other, tmp_path)
    torch.testing.assert_close(logits(other), logits(written), rtol=1e-4, atol=1e-4)
    with adapters_off(other), adapters_off(written):
        torch.testing.assert_close(logits(other), logits(written), rtol=1e-4, atol=1e-4)


def test_on_the_same_machine_the_base_stays_bitwise_as_it_is(tmp_path: Path) -> None:
    written, _ = pair()
    disturb(written)
    save_trainable_state(written, tmp_path)
    again, _ = pair()
    load_trainable_state(again, tmp_path)
    assert torch.equal(logits(again), logits(written))


@pytest.mark.parametrize("way", ["unload", "delete_adapter"])
def test_without_its_adapter_the_model_is_the_pretrained_one(way: str) -> None:
    base = logits(tiny.build("llama"))
    folded, _ = pair()
    disturb(folded)
    if way == "unload":
        left = folded.unload()
    else:
        folded.delete_adapter("default")
        left = folded.base_model.model
    torch.testing.assert_close(logits(left), base, rtol=1e-4, atol=1e-4)


def test_16_bits_stay_near_the_pretrained_model() -> None:
    base = tiny.build("llama").to(torch.bfloat16)
    truth = logits(base)
    folded = attach_adapter(base, AdapterConfig(r=4, fold_anchor=True))
    with adapters_off(folded):
        assert (logits(folded) - truth).abs().max() < 0.03 * truth.abs().max()
    assert (logits(folded) - truth).abs().max() < 0.03 * truth.abs().max()


def test_what_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ValidationError, match="lora has no anchor"):
        AdapterConfig(method="lora", fold_anchor=True)
    with pytest.raises(ValidationError, match="keep one"):
        AdapterConfig(fold_anchor=True, quantized_start="residual")


def test_a_quantized_base_is_not_folded_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.adapters.fold.quantization_of", lambda _layer: "nf4")
    with pytest.raises(ModelError, match="which is quantized"):
        pair()


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings=True.", "ignore:Setting .save_embedding_layers.")
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_keeps_its_weight(tied: bool, tmp_path: Path) -> None:
    """It may be the embedding too, and PEFT saves it with the adapter."""
    config = AdapterConfig(r=4, fold_anchor=True, target_modules=["lm_head", "q_proj"])
    base = tiny.build("llama", tie_word_embeddings=tied)
    truth = logits(base)
    model = attach_adapter(base, config)
    assert {name.rsplit(".", 1)[-1] for name in folded_layers(model)} == {"q_proj"}
    torch.testing.assert_close(logits(model), truth, rtol=1e-4, atol=1e-4)
    disturb(model)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(tiny.build("llama", tie_word_embeddings=tied), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(model), rtol=1e-4, atol=1e-4)


def test_no_other_adapter_runs_on_what_is_left_of_the_base(tmp_path: Path) -> None:
    folded, _ = pair()
    folded.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="folded into the base"):
        folded.load_adapter(tmp_path, "again")


def test_a_state_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    save_trainable_state(attach_adapter(tiny.build("llama"), AdapterConfig(r=2, fold_anchor=True)), tmp_path)
    folded, _ = pair()
    before = logits(folded)
    with pytest.raises(ModelError, match="shape"):
        load_trainable_state(folded, tmp_path)
    assert torch.equal(logits(folded), before)


def test_16_bits_are_prepared_whatever_the_rounding() -> None:
    prepare_model(tiny.build("llama").to(torch.bfloat16), AdapterConfig(r=4, fold_anchor=True))
