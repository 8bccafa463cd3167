"""The start-up check: before the first step student, teacher and pretrained model must agree.

It catches what otherwise trains quietly against the wrong reference: a base changed by its initialisation (PEFT's own
PiSSA turns it into the residual), an adapter that was trained before, a head that differs between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.errors import SelfCheckError
from balora.teacher.live import evaluation_mode

TOLERANCE: dict[torch.dtype, float] = {
    torch.float64: 1e-8,
    torch.float32: 1e-4,
    torch.float16: 1e-3,
    torch.bfloat16: 5e-3,
}
"""Largest allowed gap relative to the largest logit, by the number format of the base."""


CHUNK_NUMBERS = 1 << 22
"""How many logits are compared at a time."""

STARTS_THAT_CHANGE_THE_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")
"""Beginnings of PEFT's `init_lora_weights` under which "adapters off" is not the pretrained model."""


def relative_gap(logits: Tensor, reference: Tensor) -> float:
    """Largest difference over the largest reference logit (at least 1); inf where either is not finite.

    Compared in float32, in float64 where both are float64, some rows at a time: the logits of a batch are large.
    """
    wide = torch.float64 if logits.dtype == reference.dtype == torch.float64 else torch.float32
    ours, theirs = (
        tensor.detach().reshape(-1, tensor.shape[-1] if tensor.dim() else 1) for tensor in (logits, reference)
    )
    difference = torch.zeros((), dtype=wide, device=theirs.device)
    scale = torch.ones((), dtype=wide, device=theirs.device)
    rows = max(1, CHUNK_NUMBERS // max(1, theirs.shape[1]))
    for one, other in zip(torch.split(ours, rows), torch.split(theirs, rows), strict=True):
        if other.numel():
            target = other.to(wide)
            difference = torch.maximum(difference, (one.to(wide) - target).abs().amax())
            scale = torch.maximum(scale, target.abs().amax())
    gap = (difference / scale).item()
    return gap if gap == gap else float("inf")


def allowed_gap(dtype: torch.dtype) -> float:
    """How far two ways to the same logits may be apart, relative to the largest, by the weights' number format."""
    return TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16])


def check_adapter_start(model: nn.Module) -> None:
    """Refuse adapters whose start changed the base, however small the gap that it leaves.

    Raises:
        SelfCheckError: for PEFT's own pissa, olora, corda, lora_ga and loftq.
    """
    # PEFT keeps configurations in its tuner, transformers' own add_adapter in the model.
    owners = [module for module in model.modules() if isinstance(module, BaseTuner | PreTrainedModel)]
    for config in [config for owner in owners for config in (vars(owner).get("peft_config") or {}).values()]:
        if vars(config).get("bias", "none") != "none":
            what = f"the adapter has bias='{config.bias}', which trains biases of the base itself"
            raise SelfCheckError(f"self-check: {what}; the teacher would move with them: set bias='none'")
        start = vars(config).get("init_lora_weights")
        if isinstance(start, str) and start.lower().startswith(STARTS_THAT_CHANGE_THE_BASE):
            raise SelfCheckError(f"self-check: the adapter has init_lora_weights='{start}'; {_STUDENT_CAUSE}")


def check_agreement(
    *, student: Tensor, teacher: Tensor, base: Tensor | None = None, dtype: torch.dtype, tolerance: float | None = None
) -> float:
    """Compare the three outputs on one batch.

    Args:
        student: logits at step 0, in evaluation mode.
        teacher: logits that the consistency term will compare with.
        base: logits of the pretrained model before it was adapted, where they are known.
        dtype: number format of the base weights.
        tolerance: largest allowed gap; by `dtype` where left out.

    Returns:
        The largest gap found.

    Raises:
        SelfCheckError: with the measured gap and the likely cause.
    """
    allowed = allowed_gap(dtype) if tolerance is None else tolerance
    pairs = [("the student at step 0", student, "the teacher", teacher, _STUDENT_CAUSE)]
    if base is not None:
        pairs.insert(0, ("the teacher", teacher, "the pretrained model", base, _TEACHER_CAUSE))
    largest = 0.0
    for name, logits, reference_name, reference, cause in pairs:
        gap = relative_gap(logits, reference)
        if not gap <= allowed:
            raise SelfCheckError(
                f"self-check: {name} differs from {reference_name} by {gap:.3g} of the largest logit "
                f"(allowed {allowed:.3g}); {cause}"
            )
        largest = max(largest, gap)
    return largest


_TEACHER_CAUSE = (
    "the base weights were changed when the adapter was made; attach it with balora.prepare_model, which leaves them "
    "alone"
)
_STUDENT_CAUSE = (
    "the adapter does not start at the pretrained model: PEFT's own pissa, olora, corda, lora_ga and loftq change the "
    "base, "
    "so use balora.prepare_model; for an adapter that was trained before, set self_check: false"
)


def probe_inputs(model: PreTrainedModel, length: int = 12) -> dict[str, Any]:
    """A batch of random token ids, the same for every call, that any text model can run."""
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    rows = 1 if model.config.pad_token_id is None else 2
    end = model.config.eos_token_id
    special = {model.config.pad_token_id, *(end if isinstance(end, list) else [end])}
    ordinary = [token for token in range(vocabulary) if token not in special] or list(range(vocabulary))
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor(ordinary)[torch.randint(0, len(ordinary), (rows, length), generator=generator)]
    if isinstance(end, int) and 0 <= end < vocabulary:
        # T5's classifier reads the state at the end token and wants one in every row.
        ids[:, -1] = end
    ids = ids.to(model.device)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder and not type(model).__name__.endswith("ForSequenceClassification"):
        inputs["decoder_input_ids"] = ids[:, : length // 2]
    return inputs


def probe_logits(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """The logits on a probe batch, in evaluation mode and without gradient."""
    with torch.no_grad(), evaluation_mode(model):
        logits: Tensor = model(**inputs).logits
    return logits
