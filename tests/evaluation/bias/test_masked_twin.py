"""The twin's encoder computes what the fine-tuned classifier's encoder computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from balora.errors import ModelError
from balora.evaluation.bias import LanguageModel, Passage
from balora.evaluation.bias.masked_twin import masked_twin
from balora.models import ModelSettings
from tests.evaluation.bias.models import masked_model, masked_tokenizer
from tests.support import tiny


def pretrained(folder: Path, family: str = "bert") -> ModelSettings:
    masked_model(family).save_pretrained(folder)
    masked_tokenizer().save_pretrained(folder)
    return ModelSettings(name_or_path=str(folder), dtype="float32")


def adapted_classifier(base: Path, folder: Path, **changes: Any) -> Any:
    """A classifier with a random adapter and head, saved as PEFT saves it."""
    classifier = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    targets = changes.pop("target_modules", ["query", "dense"])
    changes = {"init_lora_weights": False, **changes}
    config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=targets, **changes)
    model = peft.get_peft_model(classifier, config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("changes", [{"r": 4}, {"r": 2, "use_dora": True}, {"r": 4, "rank_pattern": {"query": 3}}])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_encoder_is_the_classifiers(tmp_path: Path, family: str, changes: dict[str, Any]) -> None:
    settings = pretrained(tmp_path / "base", family)
    classifier = adapted_classifier(tmp_path / "base", tmp_path / "adapter", **changes)
    twin = masked_twin(settings, tmp_path / "adapter")
    ids = tiny.random_ids(3, 9)
    with torch.no_grad():
        theirs = classifier.get_base_model().base_model(input_ids=ids).last_hidden_state
        ours = twin.model.get_base_model().base_model(input_ids=ids).last_hidden_state
        with twin.model.disable_adapter():
            base = twin.model.get_base_model().base_model(input_ids=ids).last_hidden_state
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, base, atol=1e-3)


def test_without_the_adapter_it_is_the_pretrained_model(tmp_path: Path) -> None:
    settings = pretrained(tmp_path / "base")
    adapted_classifier(tmp_path / "base", tmp_path / "adapter")
    twin = masked_twin(settings, tmp_path / "adapter")
    passages = [Passage("The nurse left.")]
    plain = LanguageModel(masked_model(), masked_tokenizer()).passages(passages)[0].total
    off = LanguageModel(twin.model, twin.tokenizer, around=twin.model.disable_adapter).passages(passages)[0].total
    assert off == pytest.approx(plain, rel=1e-5)
    assert LanguageModel(twin.model, twin.tokenizer).passages(passages)[0].total != pytest.approx(plain)
    assert masked_twin(settings).model.training is False


def test_an_encoder_without_word_head_is_refused(tmp_path: Path) -> None:
    masked_model().bert.save_pretrained(tmp_path)
    masked_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds no masked-language-model head"):
        masked_twin(ModelSettings(name_or_path=str(tmp_path)))


def test_pickled_weights_are_refused_unopened(tmp_path: Path) -> None:
    settings = pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(masked_model().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        masked_twin(settings)


def test_an_adapter_that_names_code_is_refused(tmp_path: Path) -> None:
    settings = pretrained(tmp_path / "base")
    adapted_classifier(tmp_path / "base", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"megatron_config": {"x": 1}}))
    with pytest.raises(ModelError, match="megatron_config"):
        masked_twin(settings, tmp_path / "adapter")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    tiny.build("llama").save_pretrained(tmp_path / "llama")
    with pytest.raises(ModelError, match="is no masked language model"):
        masked_twin(ModelSettings(name_or_path=str(tmp_path / "llama")))
    settings = pretrained(tmp_path / "base")
    adapted_classifier(tmp_path / "base", tmp_path / "residual", init_lora_weights="pissa")
    with pytest.raises(ModelError, match="its start 'pissa' changes the base weights"):
        masked_twin(settings, tmp_path / "residual")
    adapted_classifier(tmp_path / "base", tmp_path / "head", target_modules=["pooler.dense"])
    with pytest.raises(ModelError, match="trains no encoder"):
        masked_twin(settings, tmp_path / "head")
    larger = masked_model()
    larger.config.num_hidden_layers = 3
    transformers.BertForMaskedLM(larger.config).save_pretrained(tmp_path / "larger")
    adapted_classifier(tmp_path / "larger", tmp_path / "deep")
    with pytest.raises(ModelError, match=r"trains bert\.encoder\.layer\.2\..*, which the model does not have"):
        masked_twin(settings, tmp_path / "deep")
