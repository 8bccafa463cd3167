"""The objective: task loss plus the named, weighted terms (equations 8 and 12), one class per kind of task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from balora.losses.consistency import kl_rows, normalized_error_rows, squared_error_rows
from balora.losses.diversity import covariance_diversity, top_entropy_rows
from balora.losses.precision import shortest_row
from balora.losses.reduction import mean_over, paired_rows, valid_rows
from balora.losses.report import LossReport
from balora.losses.schedule import TERMS, teacher_confidence_factor
from balora.losses.settings import ObjectiveSettings
from balora.losses.spectral import centered_shape, spectral_concentration, spectral_share, spectral_share_and_variance
from balora.task import IGNORED_LABEL

Weights = Mapping[str, float]
"""Term name -> weight; a missing name counts as 0."""


@dataclass(frozen=True, slots=True)
class BatchPart:
    """Which part of an accumulated batch a micro-batch is.

    Means over tokens or examples divide by `items` (and `term_items`) of the whole accumulated batch, so that
    accumulated gradients equal those of one large batch. The spectral term of generation is a mean over groups of
    sequences. Other terms of the batch as a whole (covariance, the spectrum in classification) cannot be split; each
    micro-batch contributes 1/`parts` of its own value.
    """

    items: Tensor | float | None = None
    """Labelled tokens or examples in the whole batch; None: those of this micro-batch."""
    term_items: Tensor | float | None = None
    """Tokens that the regularizers see in the whole batch; None: as `items`."""
    parts: int = 1
    """Micro-batches in the whole batch."""
    groups: Tensor | float | None = None
    """Spectral groups in the whole batch; None: `parts` times those of this micro-batch."""
    teacher_sequences: Tensor | None = None
    """Indices of the sequences that the teacher has answered, in the order of its answers; None: all."""
    teacher_fraction: float = 1.0
    """How likely a sequence was to be among them; their consistency is divided by it."""
    over_processes: Callable[[Tensor], Tensor] | None = None
    """Rows of this process, (n, D) -> the rows of all processes, for the terms of the batch as a whole; None: these
    are all."""

    def share_of_groups(self, values: list[Tensor]) -> Tensor:
        """The sum of this part's spectral groups over all groups of the whole batch."""
        total = len(values) * self.parts if self.groups is None else self.groups
        return torch.stack(values).sum() / total


WHOLE = BatchPart()
"""A batch that is not accumulated."""


class Objective(Protocol):
    """Logits and labels in, `LossReport` out; built once per run for one kind of task."""

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        labels: Tensor,
        *,
        weights: Weights,
        part: BatchPart = WHOLE,
        attention_mask: Tensor | None = None,
    ) -> LossReport:
        """The loss of one micro-batch.

        Args:
            student_logits: (N, D), or (B, S, V) for generation.
            teacher_logits: same shape; may be None when the consistency weight is 0.
            labels: (N,), or (B, S) for generation, −100 where nothing is to be learned.
            weights: term name -> weight at this step.
            part: which part of an accumulated batch this is.
            attention_mask: (B, S), 1 where a token is real; generation with `regularized_tokens: all` needs it.

        Raises:
            ValueError: when shapes do not fit, or a needed teacher is missing.
        """
        ...


class ClassificationObjective:
    """Cross-entropy plus equations 4, 5 and 7: equation (8)."""

    def __init__(self, settings: ObjectiveSettings, classes: int, *, label_smoothing: float = 0.0) -> None:
        self.settings = settings
        self.label_smoothing = label_smoothing
        self.spectral_k = classification_spectral_k(settings, classes)

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        labels: Tensor,
        *,
        weights: Weights,
        part: BatchPart = WHOLE,
        attention_mask: Tensor | None = None,
    ) -> LossReport:
        """See `Objective`; rows with label −100 count in no term."""
        del attention_mask
        labelled = labels != IGNORED_LABEL
        rows = valid_rows(student_logits, labelled)
        task = mean_over(cross_entropy_rows(rows, labels[labelled], self.label_smoothing), part.items)

        def consistency() -> tuple[Tensor, Tensor]:
            student, teacher = paired_rows(student_logits, _needed(teacher_logits), labelled)
            if self.settings.formulation == "2024":
                values = normalized_error_rows(student, teacher, shortest_row(student_logits.dtype))
            else:
                values = kl_rows(student, teacher, self.settings.temperature)
            return mean_over(values, part.items), teacher

        whole = rows
        if part.over_processes is not None and (weights.get("diversity") or weights.get("spectral")):
            whole = part.over_processes(rows)
        return _assemble(
            task,
            consistency,
            lambda: covariance_diversity(whole) / part.parts,
            lambda: spectral_share(whole, k=self.spectral_k, center=self.settings.center) / part.parts,
            weights=weights,
            settings=self.settings,
            valid_tokens=rows.shape[0],
        )


class RegressionObjective:
    """Mean squared error plus the squared distance to the teacher; diversity and spectral are undefined for D = 1."""

    def __init__(self, settings: ObjectiveSettings) -> None:
        self.settings = settings

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        labels: Tensor,
        *,
        weights: Weights,
        part: BatchPart = WHOLE,
        attention_mask: Tensor | None = None,
    ) -> LossReport:
        """See `Objective`; student_logits (N, 1) or (N, D), labels (N,) or (N, D) as floats; every row counts."""
        del attention_mask
        rows = valid_rows(student_logits)
        error = squared_error_rows(rows, labels.to(rows.dtype).view_as(rows))

        def consistency() -> tuple[Tensor, Tensor]:
            student, teacher = paired_rows(student_logits, _needed(teacher_logits), None)
            return mean_over(squared_error_rows(student, teacher), part.items), teacher

        def undefined() -> Tensor:
            return rows.sum() * 0.0

        return _assemble(
            mean_over(error, part.items),
            consistency,
            undefined,
            undefined,
            weights=weights,
            settings=self.settings,
            valid_tokens=rows.shape[0],
        )


class GenerationObjective:
    """Next-token cross-entropy plus equations 9, 10 and 11 on explicit logits: equation (12)."""

    def __init__(self, settings: ObjectiveSettings, *, shift: bool, label_smoothing: float = 0.0) -> None:
        """Shift labels by one for decoder-only models; encoder-decoder models align them already."""
        self.settings = settings
        self.shift = shift
        self.label_smoothing = label_smoothing
        self.spectral_k: float = 10 if settings.spectral_k is None else settings.spectral_k

    def __call__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        labels: Tensor,
        *,
        weights: Weights,
        part: BatchPart = WHOLE,
        attention_mask: Tensor | None = None,
    ) -> LossReport:
        """See `Objective`."""
        targets = self.targets(labels)
        valid = targets != IGNORED_LABEL
        rows = valid_rows(student_logits, valid)
        task = mean_over(cross_entropy_rows(rows, targets[valid], self.label_smoothing), part.items)
        seen = self.regularized_mask(labels, attention_mask)
        term_rows = rows if self.settings.regularized_tokens == "response" else valid_rows(student_logits, seen)
        term_items = part.items if part.term_items is None else part.term_items

        def consistency() -> tuple[Tensor, Tensor]:
            chosen = part.teacher_sequences
            student, asked = (student_logits, seen) if chosen is None else (student_logits[chosen], seen[chosen])
            teacher = _needed(teacher_logits)
            if teacher.shape != student.shape:
                raise ValueError(f"teacher logits have shape {tuple(teacher.shape)}; student {tuple(student.shape)}")
            teacher_rows = valid_rows(teacher.detach(), asked)
            student_rows = term_rows if chosen is None else valid_rows(student, asked)
            items = seen.sum().clamp_min(1) if term_items is None else term_items
            values = kl_rows(student_rows, teacher_rows, self.settings.temperature)
            return values.sum() / items / part.teacher_fraction, teacher_rows

        def diversity() -> Tensor:
            top_k = term_rows.shape[-1] if self.settings.formulation == "2024" else self.settings.top_k
            return mean_over(top_entropy_rows(term_rows, top_k), term_items)

        return _assemble(
            task,
            consistency,
            diversity,
            lambda: part.share_of_groups(
                [self._spectral(group) for group in torch.split(term_rows, self.group_rows(seen))]
            ),
            weights=weights,
            settings=self.settings,
            valid_tokens=rows.shape[0],
        )

    def targets(self, labels: Tensor) -> Tensor:
        """The labels aligned with the logits that predict them, (B, S)."""
        return next_token_labels(labels) if self.shift else labels

    def regularized_mask(self, labels: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Which positions of the logits the three terms see, (B, S), by `regularized_tokens`."""
        if self.settings.regularized_tokens == "response_unshifted" or not self.shift:
            return labels != IGNORED_LABEL
        if self.settings.regularized_tokens == "response":
            return next_token_labels(labels) != IGNORED_LABEL
        if attention_mask is None:
            return torch.ones_like(labels, dtype=torch.bool)
        return attention_mask.bool()

    def group_rows(self, seen: Tensor) -> list[int]:
        """How many of the rows that the terms see, (B, S), fall into each spectral group of sequences."""
        per_sequence = seen.sum(dim=1)
        groups = torch.split(per_sequence, self.settings.spectral_group_sequences or max(len(per_sequence), 1))
        return torch.stack([group.sum() for group in groups]).tolist()

    def groups_in(self, sequences: int) -> int:
        """How many spectral groups a micro-batch of so many sequences has."""
        return math.ceil(sequences / (self.settings.spectral_group_sequences or max(sequences, 1)))

    def _spectral(self, rows: Tensor) -> Tensor:
        k, center = self.spectral_k, self.settings.center
        if self.settings.formulation == "2024":
            alpha = self.settings.spectral_variance_weight
            return spectral_share_and_variance(rows, k=k, variance_weight=alpha, center=center)
        return spectral_concentration(rows, k=k, center=center)


def cross_entropy_rows(rows: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """−log p(label) of each row, (M, V) and (M,) -> (M,), in nats."""
    return torch.nn.functional.cross_entropy(rows, labels, reduction="none", label_smoothing=label_smoothing)


def next_token_labels(labels: Tensor) -> Tensor:
    """Labels aligned with the logits that predict them: shifted left by one, −100 at the end, (B, S) -> (B, S)."""
    return torch.nn.functional.pad(labels[..., 1:], (0, 1), value=IGNORED_LABEL)


def classification_spectral_k(settings: ObjectiveSettings, classes: int) -> float:
    """The k of equation (7): as set, else min(5, classes − 1), because from k = classes on the term is constant.

    Centring over the classes takes one more away.
    """
    _, usable = centered_shape(classes, classes, settings.center)
    return max(1, min(5, usable - 1)) if settings.spectral_k is None else settings.spectral_k


def _needed(teacher_logits: Tensor | None) -> Tensor:
    if teacher_logits is None:
        raise ValueError("the consistency term has a weight but no teacher logits were given")
    return teacher_logits


def _assemble(
    task: Tensor,
    consistency: Callable[[], tuple[Tensor, Tensor]],
    diversity: Callable[[], Tensor],
    spectral: Callable[[], Tensor],
    *,
    weights: Weights,
    settings: ObjectiveSettings,
    valid_tokens: int,
) -> LossReport:
    """Compute the terms that have a weight and add them up."""
    applied: dict[str, Tensor | float] = {term: weights.get(term, 0.0) for term in TERMS}
    zero = task.new_zeros(())
    values = dict.fromkeys(TERMS, zero)
    if applied["consistency"]:
        values["consistency"], teacher_rows = consistency()
        if settings.consistency_schedule == "teacher_confidence":
            factor = teacher_confidence_factor(teacher_rows, floor=settings.schedule_floor)
            applied["consistency"] = applied["consistency"] * factor
    if applied["diversity"]:
        values["diversity"] = diversity()
    if applied["spectral"]:
        values["spectral"] = spectral()
    total = task
    for term in TERMS:
        if weights.get(term, 0.0):
            total = total + applied[term] * values[term]
    return LossReport(
        total=total,
        task=task,
        consistency=values["consistency"],
        diversity=values["diversity"],
        spectral=values["spectral"],
        valid_tokens=valid_tokens,
        weights=applied,
    )
