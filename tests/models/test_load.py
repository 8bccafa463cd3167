"""Loading: the right head, what is fresh, how many positions, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from balora.errors import ModelError
from balora.models import ModelSettings, build_empty_model, load_config, load_model, load_tokenizer, max_positions
from tests.support import tiny
from tests.support.folders import save_tiny, save_tiny_body


def load(folder: Path, task: str, **changes: object) -> object:
    settings = ModelSettings(name_or_path=str(folder), **changes)  # type: ignore[arg-type]
    return load_model(settings, task, tokenizer=load_tokenizer(settings), label_names=("no", "yes", "maybe"))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2"])
def test_a_classifier_gets_a_fresh_head_with_the_label_names(family: str, tmp_path: Path) -> None:
    loaded = load(save_tiny_body(tmp_path, family), "classification")
    config = loaded.model.config  # type: ignore[attr-defined]
    assert (config.num_labels, config.id2label[2], config.label2id["yes"]) == (3, "maybe", 1)
    assert any("classifier" in name for name in loaded.fresh_parameters)  # type: ignore[attr-defined]
    assert not any("encoder" in name for name in loaded.fresh_parameters)  # type: ignore[attr-defined]


def test_a_regressor_has_one_output(tmp_path: Path) -> None:
    loaded = load(save_tiny_body(tmp_path, "bert"), "regression")
    assert loaded.model.config.num_labels == 1  # type: ignore[attr-defined]
    assert loaded.model.config.problem_type == "regression"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("family", "head", "name"),
    [("llama", "causal_lm", "LlamaForCausalLM"), ("t5", "seq2seq_lm", "T5ForConditionalGeneration")],
)
def test_generation_gets_the_language_model_head(family: str, head: str, name: str, tmp_path: Path) -> None:
    loaded = load(save_tiny(tmp_path, family, head), "generation")
    assert type(loaded.model).__name__ == name  # type: ignore[attr-defined]
    assert loaded.fresh_parameters == ()  # type: ignore[attr-defined]


def test_the_number_format_is_the_users_choice(tmp_path: Path) -> None:
    loaded = load(save_tiny(tmp_path, "llama"), "generation", dtype="bfloat16")
    assert next(loaded.model.parameters()).dtype == torch.bfloat16  # type: ignore[attr-defined]


def test_an_empty_model_has_names_and_shapes_and_no_memory(tmp_path: Path) -> None:
    settings = ModelSettings(name_or_path=str(save_tiny_body(tmp_path, "bert")))
    empty = build_empty_model(settings, "classification", label_names=("a", "b"))
    full = load(tmp_path, "classification")
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    assert [n for n, _ in empty.named_parameters()] == [n for n, _ in full.model.named_parameters()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("family", "head", "expected"),
    [
        ("llama", "causal_lm", 64),
        ("gpt2", "causal_lm", 64),
        ("bert", "sequence_classification", 64),
        ("roberta", "sequence_classification", 65),
        ("t5", "seq2seq_lm", None),
    ],
)
def test_positions(family: str, head: str, expected: int | None, tmp_path: Path) -> None:
    """RoBERTa counts from padding_idx + 1 = 1, so one of its 66 rows is never used and one is padding's."""
    save_tiny(tmp_path, family, head)
    config = load_config(ModelSettings(name_or_path=str(tmp_path)))
    assert max_positions(config) == expected
    if expected is not None:
        model = tiny.build(family, head)
        ids = tiny.random_ids(1, expected)
        assert torch.isfinite(model(input_ids=ids).logits).all()


def test_an_encoder_cannot_generate(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert", "sequence_classification")
    with pytest.raises(ModelError, match=r"is an encoder .* cannot generate"):
        load(tmp_path, "generation")


def test_a_tokenizer_with_more_ids_than_embeddings_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path, "llama", vocab_size=50)
    with pytest.raises(ModelError, match="tokenizer has 96 ids, the model 50 embeddings"):
        load(tmp_path, "generation")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "'/no/such/folder' does not exist"),
        ("./nowhere", "'./nowhere' does not exist"),
        ("somebody/some-model", "is no local folder, not in the cache, and the hub is switched off; unset HF_HUB"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_config(ModelSettings(name_or_path=name))
    assert str(caught.value).count("\n") == 0
    with pytest.raises(ModelError, match=message):
        load_tokenizer(ModelSettings(name_or_path=name))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_config(ModelSettings(name_or_path=str(tmp_path)))


def test_a_router_loss_is_set_where_the_model_has_one(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "mixture", "mixtral")
    assert load(folder, "generation").model.config.output_router_logits is False  # type: ignore[attr-defined]
    config = load(folder, "generation", router_aux_loss_coef=0.02).model.config  # type: ignore[attr-defined]
    assert (config.output_router_logits, config.router_aux_loss_coef) == (True, 0.02)
    assert load(folder, "generation", router_aux_loss_coef=0.0).model.config.output_router_logits is False  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="with a language-model head only, not for classification"):
        load(folder, "classification", router_aux_loss_coef=0.02)
    with pytest.raises(ModelError, match="'llama' has no load-balancing loss"):
        load(save_tiny(tmp_path / "dense", "llama"), "generation", router_aux_loss_coef=0.02)
