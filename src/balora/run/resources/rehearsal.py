"""One step of the model with its adapter on fake tensors: what it would allocate and multiply."""

from __future__ import annotations

import warnings
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel, TrainingArguments

from balora.adapters import AdaptedModel, AdapterConfig, adapters_off, attach_adapter, find_method
from balora.adapters.anchor import ADAPTER_NAME
from balora.adapters.begin import adapted_layers, anchor, frozen_weights
from balora.adapters.factors import Factors
from balora.run.resources.tally import Tally
from balora.training.head import find_head, headless


@dataclass(frozen=True, slots=True)
class Shape:
    """What a micro-batch looks like."""

    rows: int
    tokens: int
    """Of the longest row."""
    target_tokens: int = 0
    """Encoder-decoder: of the longest answer."""

    @property
    def positions(self) -> int:
        """Places in the padded batch."""
        return self.rows * (self.tokens + self.target_tokens)


@dataclass(frozen=True, slots=True)
class StepTally:
    """What one micro-batch costs beside weights, gradients and optimizer.

    Of a language model up to the states that enter its head, which need not be applied to a whole batch.
    """

    student_bytes: int
    """The most that forward and backward hold at one time."""
    teacher_bytes: int
    """The most that a forward without gradient holds at one time."""
    evaluation_bytes: int
    """The most that scoring a batch of the validation split holds, without gradients and head; 0 without a split."""
    student_flops: int
    teacher_flops: int
    kernels: int
    """Operations of both."""
    written_bytes: int
    """By both; every operation's result counts."""
    trained_bytes: int
    """Parameters that train, as they lie in memory."""
    trained_count: int
    anchor_bytes: int
    """Frozen starting factors beside them."""
    frozen_bytes: int
    """Everything else of the model, in the type that it is loaded in."""
    largest_layer_bytes: int
    """Of one frozen matrix in float32."""
    head_rows: int
    """Outputs of the language-model head V, or of the classifier D."""
    width: int
    """Hidden size d."""


def rehearse_step(
    empty: PreTrainedModel,
    config: AdapterConfig,
    arguments: TrainingArguments,
    shape: Shape,
    *,
    has_teacher: bool,
    evaluated: Shape | None = None,
) -> StepTally:
    """Adapt a model that has no weights and run one micro-batch through it, forwards and backwards.

    Operations are those of the device in `arguments` where this machine has it, else of a CPU.

    Args:
        empty: from `build_empty_model`; it is changed and of no use afterwards.
        config: method, rank, targets. A start that is computed from weights is replaced by one of the same size.
        arguments: gradient checkpointing, number format, device.
        shape: of the micro-batch.
        has_teacher: whether a forward without adapters is part of the step.
        evaluated: shape of a batch of the validation split, where there is one.
    """
    device = arguments.device
    with torch.device("meta"):
        model = _adapted(empty, config)
        sizes = _sizes(model)
        wider = _narrow_experts(model)
    with FakeTensorMode(allow_non_fake_inputs=True), ExitStack() as held:
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
        if arguments.gradient_checkpointing:
            _checkpoint_gradients(model, arguments)
        model.train()
        autocast = _autocast(arguments)
        held.enter_context(nullcontext() if autocast is None else torch.autocast(device.type, autocast))
        base = model.get_base_model() if isinstance(model, AdaptedModel) else model
        head, _ = find_head(base) if base.get_output_embeddings() is not None else (None, "")
        if head is not None:
            held.enter_context(headless(base))
        student = _forward_and_backward(model, shape, device)
        teacher = Tally()
        if has_teacher and find_method(config.method).keeps_base:
            with torch.no_grad(), adapters_off(model):
                teacher = _forward(model, shape, device)
        elif has_teacher:
            with torch.no_grad():
                teacher = _forward(model, shape, device)
        evaluation = _scored(model, evaluated, device)
        outputs = head.start()[0] if head is not None else _last_matrix(base)
    return StepTally(
        student_bytes=student.peak_bytes * wider,
        teacher_bytes=teacher.peak_bytes * wider,
        evaluation_bytes=evaluation * wider,
        student_flops=student.flops,
        teacher_flops=teacher.flops,
        kernels=student.kernels + teacher.kernels,
        written_bytes=(student.written_bytes + teacher.written_bytes) * wider,
        **sizes,
        head_rows=int(outputs.shape[0]),
        width=int(outputs.shape[1]),
    )


def _adapted(empty: PreTrainedModel, config: AdapterConfig) -> PreTrainedModel | AdaptedModel:
    method = find_method(config.method)
    if not method.low_rank or method.start == "zero":
        return attach_adapter(empty, config)
    changes = {"method": "lora", "fold_anchor": False, "quantized_start": "anchor", "svd_cache": False}
    model = attach_adapter(empty, AdapterConfig(**(config.model_dump(include=_SHAPING) | changes)))
    for _, layer in adapted_layers(model) if method.anchored and not config.fold_anchor else ():
        factors = [
            Factors(torch.empty(config.r, weight.shape[1]), torch.empty(weight.shape[0], config.r))
            for weight in frozen_weights(layer)
        ]
        anchor("", layer, factors, fold=False)
    return model


_SHAPING = {"r", "alpha", "dropout", "target_modules", "modules_to_save"}
"""Settings of an adapter that its size depends on."""


def _narrow_experts(model: nn.Module) -> int:
    """Turn a mixture of experts to bfloat16, and say how much wider its own type is.

    The shapes of torch's grouped products are known in bfloat16 only.
    """
    if not any(parameter.dim() == 3 for parameter in model.parameters()):
        return 1
    wider = next(parameter for parameter in model.parameters() if not parameter.requires_grad).element_size() // 2
    model.to(torch.bfloat16)
    return wider


def _checkpoint_gradients(model: Any, arguments: TrainingArguments) -> None:
    options = dict(arguments.gradient_checkpointing_kwargs or {"use_reentrant": False})
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".gradient_checkpointing_enable. is deprecated", category=FutureWarning
        )
        model.gradient_checkpointing_enable({**options, "preserve_rng_state": False})
    model.enable_input_require_grads()


def _autocast(arguments: TrainingArguments) -> torch.dtype | None:
    if arguments.bf16:
        return torch.bfloat16
    return torch.float16 if arguments.fp16 else None


def _forward_and_backward(model: nn.Module, shape: Shape, device: torch.device) -> Tally:
    tally = Tally()
    with tally:
        states = _outputs(model, shape, device)
        torch.autograd.backward(states, torch.empty_like(states))
        del states
    for parameter in model.parameters():
        parameter.grad = None
    return tally


def _forward(model: nn.Module, shape: Shape, device: torch.device) -> Tally:
    tally = Tally()
    with tally:
        _outputs(model, shape, device)
    return tally


def _scored(model: nn.Module, shape: Shape | None, device: torch.device) -> int:
    if shape is None:
        return 0
    model.eval()
    with torch.no_grad():
        return _forward(model, shape, device).peak_bytes


def _outputs(model: nn.Module, shape: Shape, device: torch.device) -> Tensor:
    """Class logits, or the states that enter a language-model head; without a mask, whose values models look at."""
    ids = torch.zeros(shape.rows, shape.tokens, dtype=torch.int64, device=device)
    batch = {"input_ids": ids}
    if shape.target_tokens:
        batch["decoder_input_ids"] = torch.zeros(shape.rows, shape.target_tokens, dtype=torch.int64, device=device)
    logits: Tensor = model(**batch).logits
    return logits


def _sizes(model: nn.Module) -> dict[str, int]:
    sizes = {"trained_bytes": 0, "trained_count": 0, "anchor_bytes": 0, "frozen_bytes": 0, "largest_layer_bytes": 0}
    seen: set[int] = set()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        size = tensor.numel() * tensor.element_size()
        if tensor.requires_grad:
            sizes["trained_bytes"] += size
            sizes["trained_count"] += tensor.numel()
        elif f".anchor.{ADAPTER_NAME}." in name:
            sizes["anchor_bytes"] += size
        else:
            sizes["frozen_bytes"] += size
            sizes["largest_layer_bytes"] = max(sizes["largest_layer_bytes"], 4 * tensor.numel())
    return sizes


def _last_matrix(base: nn.Module) -> Tensor:
    return [parameter for parameter in base.parameters() if parameter.dim() == 2][-1]
