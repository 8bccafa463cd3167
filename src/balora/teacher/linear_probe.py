"""A head that means something before training: its last layer fitted on the frozen features.

A fresh classification head is random, so "stay close to the teacher" would mean "stay close to noise". The probe fits
the last linear layer by logistic (or ridge) regression on the pretrained features; student and teacher both start
from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from balora.errors import ModelError
from balora.task import IGNORED_LABEL, Task
from balora.teacher.cached import NOT_READ_BY_THE_MODEL
from balora.teacher.live import Teacher, transformers_model


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How well the frozen features alone do on the training split."""

    score: float
    """Accuracy, or R² for a regression."""
    examples: int


def fit_linear_probe(
    teacher: Teacher,
    model: nn.Module,
    examples: Sequence[Mapping[str, Any]],
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    *,
    task: Task,
    batch_size: int = 32,
) -> ProbeResult:
    """Fit the head's last linear layer, in the student and in the teacher alike.

    Args:
        teacher: the live teacher, whose forward gives the features.
        model: the adapted classifier or regressor.
        examples: the training split.
        collate: makes a batch of examples into tensors, labels included.
        task: classification (logistic regression) or regression (ridge).
        batch_size: examples per forward.

    Raises:
        ModelError: when the head has no linear layer with as many outputs as there are labels, or the training split
            has one class only.
    """
    layers = output_layers(model)
    features, labels = _features(teacher, model, layers, examples, collate, batch_size)
    weight, bias, score = (_fit_classes if task == "classification" else _fit_numbers)(
        features, labels, layers[0].out_features, with_bias=layers[0].bias is not None
    )
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(torch.from_numpy(weight))
            if layer.bias is not None:
                layer.bias.copy_(torch.from_numpy(bias))
    return ProbeResult(score=score, examples=len(labels))


def output_layers(model: nn.Module) -> list[nn.Linear]:
    """The last linear layer of the head: PEFT's frozen original and its trained copy, or the one of a plain model.

    Raises:
        ModelError: when there is none.
    """
    base = transformers_model(model)
    body = f"{base.base_model_prefix}."
    found: dict[str, nn.Linear] = {}
    for name, module in base.named_modules():
        if name.startswith(body) or not isinstance(module, nn.Linear) or module.out_features != base.config.num_labels:
            continue
        copy = next((part for part in ("original_module", "modules_to_save") if part in name.split(".")), "")
        found[copy] = module
    if not found:
        what = f"the head of {type(base).__name__} has no linear layer with {base.config.num_labels} outputs"
        raise ModelError.at("regularizers.teacher_head", what, "set teacher_head: initial")
    return list(found.values())


def _features(
    teacher: Teacher,
    model: nn.Module,
    layers: list[nn.Linear],
    examples: Sequence[Mapping[str, Any]],
    collate: Callable[[list[Mapping[str, Any]]], Mapping[str, Any]],
    batch_size: int,
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """What enters the last layer, (N, d), and the labels, (N,)."""
    seen: list[Tensor] = []
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for layer in layers]
    device = next(model.parameters()).device
    padding = transformers_model(model).config.get_text_config().pad_token_id
    features, labels = [], []
    try:
        for start in range(0, len(examples), batch_size):
            batch = collate([examples[index] for index in range(start, min(start + batch_size, len(examples)))])
            inputs = {key: value.to(device) for key, value in batch.items() if key not in NOT_READ_BY_THE_MODEL}
            seen.clear()
            teacher.logits(model, inputs)
            features.append(_one_per_example(seen[-1], inputs["input_ids"], padding).float().cpu().numpy())
            labels.append(batch["labels"].numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return np.concatenate(features), np.concatenate(labels)


def _one_per_example(entering: Tensor, input_ids: Tensor, padding: int | None) -> Tensor:
    """Decoder classifiers score every position and keep one; take that one, by transformers' rule.

    It is the last token that is not the padding token, wherever the mask ends; without a padding token the last one.
    """
    if entering.dim() == 2:
        return entering
    if padding is None:
        return entering[:, -1]
    positions = torch.arange(input_ids.shape[1], device=input_ids.device)
    last = ((input_ids != padding) * positions).argmax(dim=1)
    return entering[torch.arange(len(last), device=last.device), last]


def _fit_classes(
    features: NDArray[np.float32], labels: NDArray[Any], classes: int, *, with_bias: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    known = labels != IGNORED_LABEL
    present = np.unique(labels[known])
    if len(present) < 2:
        raise ModelError.at(
            "regularizers.teacher_head", "the training split has one class only", "set teacher_head: initial"
        )
    probe = LogisticRegression(max_iter=1000, fit_intercept=with_bias).fit(features[known], labels[known])
    coefficients, intercepts = probe.coef_, np.broadcast_to(probe.intercept_, (probe.coef_.shape[0],))
    if len(present) == 2:
        # One row of coefficients stands for the difference of two classes' logits.
        coefficients, intercepts = np.concatenate([-coefficients, coefficients]) / 2, np.r_[-intercepts, intercepts] / 2
    weight = np.zeros((classes, features.shape[1]), dtype=np.float32)
    bias = np.full(classes, -10.0 if len(present) < classes else 0.0, dtype=np.float32)
    weight[present], bias[present] = coefficients, intercepts
    return weight, bias, float(probe.score(features[known], labels[known]))


def _fit_numbers(
    features: NDArray[np.float32], labels: NDArray[Any], outputs: int, *, with_bias: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    probe = Ridge(fit_intercept=with_bias).fit(features, labels)
    weight = np.asarray(probe.coef_, dtype=np.float32).reshape(outputs, -1)
    bias = np.full(outputs, probe.intercept_, dtype=np.float32)
    return weight, bias, float(probe.score(features, labels))
