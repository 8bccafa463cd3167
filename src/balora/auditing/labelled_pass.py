"""Base and tuned classifier on the same rows: logits and pooled states of every layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from balora.auditing.pair import Pair
from balora.auditing.pooling import pooled, states_of, usual_pooling
from balora.auditing.settings import AuditSettings
from balora.data import Collator, LabelledText, TextSplit, make_collator
from balora.data.encode_labelled import encode_labelled
from balora.data.truncation import length_limit
from balora.evaluation.finite import check_outputs
from balora.models import max_positions

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What one model says to some rows, in their order."""

    logits: Floats
    """(rows, outputs)."""
    states: tuple[Floats, ...]
    """After the embedding and after every layer, pooled, (rows, hidden); only the last where no others were asked."""

    @property
    def features(self) -> Floats:
        """The final hidden state."""
        return self.states[-1]


@dataclass(frozen=True)
class Batches:
    """Rows as token ids, in batches of like length."""

    order: tuple[tuple[int, ...], ...]
    rows: tuple[dict[str, Any], ...]
    places: tuple[str, ...]
    collate: Collator


def batches_of(pair: Pair, rows: Sequence[LabelledText], settings: AuditSettings) -> Batches:
    """Encode rows as in training, padded on the right."""
    subject, config = pair.subject, pair.config
    limit, _ = length_limit(subject.data, pair.tokenizer, max_positions(config))
    cut = subject.data.model_copy(update={"too_long": "truncate"})
    encoded = encode_labelled(TextSplit("validation", tuple(rows), len(rows), 0), pair.tokenizer, cut, limit)
    typed = any(row.type_ids is not None and row.type_ids.any() for row in encoded.rows)
    inputs = tuple(
        {"input_ids": row.ids, **({"token_type_ids": row.type_ids} if typed else {})} for row in encoded.rows
    )
    made = make_collator(pair.tokenizer, subject.task)
    collate = Collator(subject.task, "right", made.pad_id, False, made.pad_to_multiple_of)
    by_length = sorted(range(len(inputs)), key=lambda row: -len(encoded.rows[row].ids))
    size = settings.batch_size
    order = tuple(tuple(by_length[start : start + size]) for start in range(0, len(by_length), size))
    return Batches(order, inputs, tuple(row.place for row in rows), collate)


def outputs_of(
    model: Any,
    pair: Pair,
    batches: Batches,
    settings: AuditSettings,
    *,
    every_layer: bool = True,
    tell: Callable[[int], None] = lambda _: None,
) -> Outputs:
    """Logits and pooled states of all rows; the states of one batch at a time are in memory.

    Args:
        model: as `pair.base()` or `pair.tuned()` gives it.
        pair: for the head's outputs and the device.
        batches: the rows.
        settings: how rows are pooled.
        every_layer: keep all layers or the last one.
        tell: called with the number of rows after each batch.
    """
    how = settings.features or usual_pooling(pair.config, pair.subject.task)
    logits: Floats | None = None
    states: list[Floats] = []
    total = len(batches.rows)
    for chosen in batches.order:
        batch = {
            name: value.to(pair.device)
            for name, value in batches.collate([batches.rows[row] for row in chosen]).items()
        }
        found = model(**batch, output_hidden_states=True, return_dict=True)
        places = [batches.places[row] for row in chosen]
        check_outputs(found.logits, places.__getitem__)
        here = found.logits.float().reshape(len(chosen), -1).cpu().numpy()
        layers = states_of(found, decoder=True)
        layers = layers if every_layer else layers[-1:]
        vectors = [pooled(layer, batch["attention_mask"], how).cpu().numpy() for layer in layers]
        if logits is None:
            logits = np.zeros((total, here.shape[1]), np.float32)
            states = [np.zeros((total, vector.shape[1]), np.float32) for vector in vectors]
        rows = list(chosen)
        logits[rows] = here
        for kept, vector in zip(states, vectors, strict=True):
            kept[rows] = vector
        tell(len(rows))
    assert logits is not None
    return Outputs(logits, tuple(states))


def both_outputs(
    pair: Pair, rows: Sequence[LabelledText], settings: AuditSettings, *, tell: Callable[[int], None] = lambda _: None
) -> tuple[Outputs, Outputs]:
    """Of base and tuned model."""
    torch.manual_seed(settings.seed)
    batches = batches_of(pair, rows, settings)
    with pair.base() as model:
        base = outputs_of(model, pair, batches, settings, tell=tell)
    with pair.tuned() as model:
        tuned = outputs_of(model, pair, batches, settings, tell=tell)
    return base, tuned
