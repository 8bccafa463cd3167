"""What holds for every model family beside the matrix: number formats, padding, recomputation, the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from balora.adapters import AdapterConfig, adapted_layers, adapters_off
from balora.errors import ModelError
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.padding_free import packing_gap
from tests.adapters.families import logits
from tests.support import rows, tiny
from tests.support.families import CELLS, DECODERS, USUAL, Cell

pytestmark = pytest.mark.filterwarnings("ignore::balora.training.BaloraWarning")
WRITERS = [cell for cell in USUAL if cell.task == "generation"]
DECODER_CELLS = [cell for cell in CELLS if cell.family in DECODERS]


def trainer(cell: Cell, folder: Path, model: Any = None, side: str = "right", **changes: Any) -> BALoraTrainer:
    return BALoraTrainer(
        model=prepare_model(model or cell.build(), AdapterConfig(r=2), task=cell.task),
        args=rows.arguments(folder, **{"max_steps": 2, **changes}),
        config=BALoraConfig(form=cell.form),  # type: ignore[arg-type]
        train_dataset=cell.rows(),
        data_collator=cell.collator(side),
        processing_class=tiny.character_tokenizer(padding_side=side),
    )


def logged(run: BALoraTrainer) -> torch.Tensor:
    run.train()
    names = ("loss", "consistency", "grad_norm")
    return torch.tensor([[log[name] for name in names] for log in run.state.log_history if "loss" in log])


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("cell", USUAL, ids=str)
def test_recomputed_activations_change_nothing(cell: Cell, tmp_path: Path) -> None:
    plain, recomputed = (
        logged(trainer(cell, tmp_path / str(setting), gradient_checkpointing=setting, max_steps=1))
        for setting in (False, True)
    )
    torch.testing.assert_close(recomputed, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", [cell for cell in USUAL if cell.family != "deberta"], ids=str)
def test_bfloat16_checkpoints_start_at_the_base_and_train(cell: Cell, tmp_path: Path) -> None:
    """Loaded as users load them: some families keep some layers in float32."""
    cell.build().save_pretrained(tmp_path / "base")
    base = type(cell.build()).from_pretrained(tmp_path / "base", dtype=torch.bfloat16)
    truth = logits(base, cell.inputs())
    run = trainer(cell, tmp_path / "run", base, max_steps=1)
    with adapters_off(run.model):
        off = logits(run.model, cell.inputs())
    if cell.task == "generation":
        assert torch.equal(off, truth)
    else:  # The head now runs in float32, which the base's own rounding is apart from.
        torch.testing.assert_close(off, truth.float(), rtol=0, atol=1e-2 * float(truth.abs().max().clamp_min(1)))
    assert logged(run).isfinite().all()
    assert {p.dtype for p in run.model.parameters() if p.requires_grad} == {torch.float32}


def test_a_model_that_does_not_run_in_its_format_says_so(tmp_path: Path) -> None:
    """transformers leaves two biases of DeBERTa in float32, and its forward mixes them with the rest."""
    base = Cell("deberta", "classification").build()
    base.save_pretrained(tmp_path)
    loaded = type(base).from_pretrained(tmp_path, dtype=torch.bfloat16)
    with pytest.raises(ModelError, match=r"model\.dtype: .* does not run in torch\.bfloat16 .*load it in float32"):
        prepare_model(loaded, AdapterConfig(r=2))


@pytest.mark.parametrize("cell", DECODER_CELLS, ids=str)
def test_the_side_of_padding_does_not_matter(cell: Cell, tmp_path: Path) -> None:
    right, left = (logged(trainer(cell, tmp_path / side, side=side)) for side in ("right", "left"))
    torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", DECODERS)
def test_sequences_in_one_row_are_kept_apart(family: str) -> None:
    assert packing_gap(Cell(family, "generation").build()) < 1e-5


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("cell", WRITERS, ids=str)
def test_every_plain_head_is_trained_without_logits(cell: Cell, tied: bool, tmp_path: Path) -> None:
    run = trainer(cell, tmp_path, cell.build(tie_word_embeddings=tied))
    assert (run.fused is not None, run.explicit_because) == (True, "")
    assert not run.fused.head.trained
    assert not [name for name, _ in adapted_layers(run.model) if name.endswith("lm_head")]


def test_the_head_of_t5_s_classifier_is_trained_and_saved() -> None:
    """PEFT's own list of head names does not hold classification_head."""
    cell = Cell("t5", "classification")
    model = prepare_model(cell.build(), AdapterConfig(r=2))
    trained = {name for name, p in model.named_parameters() if p.requires_grad and "lora_" not in name}
    assert {name.split("classification_head.")[1] for name in trained} == {
        f"modules_to_save.default.{layer}.{kind}" for layer in ("dense", "out_proj") for kind in ("weight", "bias")
    }
