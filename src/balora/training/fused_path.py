"""Training on hidden states: run the model without its head, and hand the head to the fused objective."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from balora.losses import (
    BatchPart,
    FusedOptions,
    GenerationObjective,
    HeadGram,
    LossReport,
    SpectralMemory,
    fused_generation_objective,
)
from balora.losses.objective import Weights
from balora.task import IGNORED_LABEL
from balora.teacher import probe_inputs, probe_logits
from balora.teacher.self_check import allowed_gap, relative_gap
from balora.training.config import BALoraConfig

CHUNK_MIB = {True: 128, False: 512}
"""On a CPU, and elsewhere: processors gain nothing from larger chunks, graphics cards do."""


class FusedPath:
    """The objective on what enters the head; the logits of a batch are never made."""

    def __init__(
        self, head: nn.Linear, config: BALoraConfig, objective: GenerationObjective, compute_dtype: torch.dtype | None
    ) -> None:
        """Products with the head run in `compute_dtype` (the autocast type); None: in the type of the states."""
        self.head = head
        self.config = config
        self.objective = objective
        self.compute_dtype = compute_dtype
        self._memory = SpectralMemory()
        self._gram: HeadGram | None = None

    @contextmanager
    def without_head(self) -> Iterator[None]:
        """Inside the block the model's `logits` are the states that would enter its head.

        Factors that the model applies after its head act on the states instead, which is the same by linearity.
        """
        attributes = vars(self.head)
        before = attributes.get("forward")
        attributes["forward"] = _as_it_is
        try:
            yield
        finally:
            del attributes["forward"]
            if before is not None:
                attributes["forward"] = before

    def report(
        self,
        student_states: Tensor,
        teacher_states: Tensor | None,
        labels: Tensor,
        *,
        weights: Weights,
        part: BatchPart,
        attention_mask: Tensor | None,
    ) -> LossReport:
        """The loss of a micro-batch from its states, (B, S, d), and its labels, (B, S).

        With `part.teacher_sequences` the teacher's states are those of these sequences only.
        """
        targets = self.objective.targets(labels)
        seen = self.objective.regularized_mask(labels, attention_mask)
        kept = (targets != IGNORED_LABEL) | seen
        spectral = bool(weights.get("spectral"))
        if spectral and self._gram is None:
            self._gram = HeadGram.of(self.head.weight, self.head.bias)
        dtype = self.compute_dtype or student_states.dtype
        chosen, answered, asked = part.teacher_sequences, None, kept
        if chosen is not None:
            answered = torch.zeros_like(kept).index_fill_(0, chosen, value=True)[kept]
            asked = kept[chosen]
        options = FusedOptions(
            head_bias=self.head.bias,
            head_gram=self._gram,
            spectral_memory=self._memory,
            spectral_groups=self.objective.group_rows(seen) if spectral else None,
            teacher_mask=answered,
            center=self.config.center,
            term_mask=seen[kept],
            chunk_bytes=(self.config.loss_chunk_mib or CHUNK_MIB[labels.device.type == "cpu"]) << 20,
        )
        with torch.autocast(labels.device.type, enabled=False):
            return fused_generation_objective(
                student_states[kept].to(dtype),
                None if teacher_states is None else teacher_states[asked].to(dtype),
                self.head.weight,
                targets[kept],
                weights=weights,
                temperature=self.config.temperature,
                top_k=self.config.top_k,
                spectral_k=self.objective.spectral_k,
                part=part,
                options=options,
            )

    def gap(self, base: PreTrainedModel) -> float:
        """Largest difference between head × states and the model's own logits, relative to the largest logit."""
        inputs = probe_inputs(base)
        truth = probe_logits(base, inputs)
        with self.without_head():
            states = probe_logits(base, inputs)
        with torch.no_grad():
            return relative_gap(self.head(states.to(self.head.weight.dtype)), truth)


def _as_it_is(states: Tensor) -> Tensor:
    return states


def fused_path_for(
    base: PreTrainedModel,
    config: BALoraConfig,
    objective: object,
    *,
    compute_dtype: torch.dtype | None = None,
    cannot: str = "",
) -> tuple[FusedPath | None, str]:
    """The fused path of a model, or None and why it needs the logits of whole batches.

    Args:
        base: the transformers model inside, adapted or not.
        config: the regularizers; `loss_path: explicit` always gives None, and no reason.
        objective: the explicit objective of the run.
        compute_dtype: the autocast type, if any.
        cannot: a reason that lies outside model and configuration.
    """
    if config.loss_path == "explicit" or not isinstance(objective, GenerationObjective):
        return None, ""
    head = base.get_output_embeddings()
    reasons = {
        cannot: bool(cannot),
        "its head is not a plain linear layer": type(head) is not nn.Linear,
        "its head is trained": isinstance(head, nn.Linear) and head.weight.requires_grad,
        "its logits are soft-capped": bool(base.config.to_dict().get("final_logit_softcapping")),
        "the 2024 formulation needs every singular value": config.formulation == "2024",
        "teacher_confidence weighs the batch as a whole": config.consistency_schedule == "teacher_confidence",
        "label smoothing needs every logit": objective.label_smoothing > 0,
    }
    found = [reason for reason, holds in reasons.items() if holds]
    if found or not isinstance(head, nn.Linear):
        return None, found[0]
    path = FusedPath(head, config, objective, compute_dtype)
    gap, allowed = path.gap(base), allowed_gap(head.weight.dtype)
    if not gap <= allowed:
        return None, f"its logits are not head times states (they differ by {gap:.2g})"
    return path, ""
