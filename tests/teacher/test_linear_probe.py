"""The probe: the last layer is scikit-learn's fit on the frozen features, in student and teacher alike."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from balora.adapters import AdapterConfig, attach_adapter
from balora.data.collate import Collator
from balora.errors import ModelError
from balora.task import Task
from balora.teacher import LiveTeacher, Teacher, UntrainedTeacher, fit_linear_probe
from balora.teacher.linear_probe import _features, output_layers
from tests.adapters.families import logits
from tests.support import rows, tiny


def fit(model: nn.Module, data: datasets.Dataset, task: Task = "classification", side: str = "right") -> float:
    teacher: Teacher = LiveTeacher() if _adapted(model) else UntrainedTeacher()
    return fit_linear_probe(teacher, model, data, rows.collator(task, side=side), task=task, batch_size=7).score


def _adapted(model: nn.Module) -> bool:
    return any("lora_" in name for name, _ in model.named_parameters())


def everything(model: nn.Module, data: datasets.Dataset, side: str = "right") -> torch.Tensor:
    batch = rows.collator("classification", side=side)([data[index] for index in range(len(data))])
    return logits(model, {key: batch[key] for key in ("input_ids", "attention_mask")})


@pytest.mark.parametrize("method", ["pissa", "full"])
@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "llama", "gpt2"])
def test_a_probed_head_predicts_what_its_score_says(family: str, method: str) -> None:
    data = rows.classified_rows(40)
    model = attach_adapter(
        tiny.build(family, "sequence_classification", num_labels=3), AdapterConfig(method=method, r=4)
    )
    score = fit(model, data)
    predictions = everything(model, data).argmax(dim=1)
    accuracy = (predictions == torch.tensor(data["labels"])).float().mean().item()
    assert accuracy == pytest.approx(score, abs=1e-6)
    assert score > 0.5, "three classes, chance is one third"


@pytest.mark.parametrize("side", ["left", "right"])
def test_decoder_features_are_taken_at_the_last_real_token(side: str) -> None:
    data = rows.classified_rows(40)
    model = attach_adapter(tiny.build("llama", "sequence_classification", num_labels=3), AdapterConfig(r=4))
    score = fit(model, data, side=side)
    predictions = everything(model, data).argmax(dim=1)
    assert (predictions == torch.tensor(data["labels"])).float().mean().item() == pytest.approx(score, abs=1e-6)


def test_student_and_teacher_start_from_the_same_head() -> None:
    data = rows.classified_rows(30)
    model = attach_adapter(tiny.build("roberta", "sequence_classification", num_labels=3), AdapterConfig(r=4))
    fit(model, data)
    batch = rows.collator("classification")([data[0], data[1]])
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    torch.testing.assert_close(LiveTeacher().logits(model, inputs), logits(model, inputs), rtol=0, atol=1e-5)


def test_two_classes_get_the_probability_of_scikit_learn() -> None:
    data = rows.classified_rows(40, classes=2)
    model = attach_adapter(tiny.build("bert", "sequence_classification", num_labels=2), AdapterConfig(r=4))
    seen: list[torch.Tensor] = []
    hook = output_layers(model)[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    batch = rows.collator("classification")([data[index] for index in range(40)])
    LiveTeacher().logits(model, {key: batch[key] for key in ("input_ids", "attention_mask")})
    hook.remove()
    expected = LogisticRegression(max_iter=1000).fit(seen[0].numpy(), np.array(data["labels"]))
    fit(model, data)
    ours = everything(model, data).softmax(dim=1).numpy()
    np.testing.assert_allclose(ours, expected.predict_proba(seen[0].numpy()), atol=1e-3)


def test_a_regression_head_is_fitted_by_least_squares() -> None:
    data = rows.scored_rows(40)
    model = attach_adapter(tiny.build("bert", "sequence_classification", num_labels=1), AdapterConfig(r=4))
    before = everything(model, data).squeeze(1)
    fit(model, data, task="regression")
    after, truth = everything(model, data).squeeze(1), torch.tensor(data["labels"])
    assert (after - truth).square().mean() < 0.5 * (before - truth).square().mean()


def test_one_class_only_is_refused() -> None:
    data = rows.classified_rows(10, classes=1)
    model = attach_adapter(tiny.build("bert", "sequence_classification", num_labels=2), AdapterConfig(r=4))
    with pytest.raises(ModelError, match="one class only"):
        fit(model, data)


def test_a_class_without_examples_is_made_unlikely() -> None:
    data = rows.classified_rows(40, classes=2)
    model = attach_adapter(tiny.build("bert", "sequence_classification", num_labels=3), AdapterConfig(r=4))
    fit(model, data)
    assert everything(model, data).softmax(dim=1)[:, 2].max() < 0.01


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", [2, 0, None], ids=["pad is eos", "own pad", "no pad"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_features_times_head_are_the_models_logits(
    family: str, dtype: torch.dtype, padding: int | None, side: str
) -> None:
    base = tiny.build(family, "sequence_classification", num_labels=3, pad_token_id=padding).to(dtype)
    model = attach_adapter(base, AdapterConfig(r=4))
    data = [{"input_ids": [5, 6, 7, 8, 2], "labels": 0}, {"input_ids": [5, 9, 2], "labels": 1}]
    size = 1 if padding is None else 2
    collate = Collator("classification", side, 2 if padding is None else padding, False, None)
    layers = output_layers(model)
    features, _ = _features(LiveTeacher(), model, layers, data, collate, size)
    scored = torch.from_numpy(features) @ layers[0].weight.detach().float().T
    if layers[0].bias is not None:
        scored += layers[0].bias.detach().float()
    batches = [collate(data[start : start + size]) for start in range(0, 2, size)]
    truth = [LiveTeacher().logits(model, {k: v for k, v in batch.items() if k != "labels"}) for batch in batches]
    torch.testing.assert_close(scored, torch.cat(truth).float(), rtol=0, atol=1e-5)
