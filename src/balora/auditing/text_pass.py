"""Base and tuned language model on the same texts: numbers per token, pooled states, logits of a few tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from balora.auditing.pair import Pair
from balora.auditing.pooling import pooled, states_of
from balora.auditing.settings import AuditSettings
from balora.auditing.texts import TokenText
from balora.data import Collator
from balora.evaluation.finite import check_outputs, text_named
from balora.evaluation.inheritance import token_drift
from balora.task import IGNORED_LABEL

Floats = NDArray[np.float32]

CHUNK_VALUES = 1 << 24
"""Logits that are compared at once; float32 copies of more would decide the memory that an audit takes."""
BATCH_VALUES = 1 << 26
"""Logits that one forward may make."""


@dataclass(frozen=True)
class TokenNumbers:
    """What is kept of every scored token; arrays in one order."""

    text: NDArray[np.int64]
    """The text it belongs to, for resampling."""
    kl: Floats
    changed: NDArray[np.bool_]
    values: Mapping[str, tuple[Floats, Floats]]
    """Of base and tuned: `loss` −ln p(token); `entropy`; `confidence` of the first choice; `correct`, whether that is
    the token; `brier`."""


@dataclass(frozen=True)
class TextOutputs:
    """What both models say to some texts."""

    tokens: TokenNumbers
    states: tuple[tuple[Floats, ...], tuple[Floats, ...]]
    """Base's and tuned's: after the embedding and every layer, pooled, (texts, hidden)."""
    logits: tuple[Floats, Floats]
    """Of a few tokens spread over the texts, (tokens, vocabulary)."""
    logit_text: NDArray[np.int64]
    """The text of each of them."""


def both_text_outputs(
    pair: Pair, texts: Sequence[TokenText], settings: AuditSettings, *, tell: Callable[[int], None] = lambda _: None
) -> TextOutputs:
    """Run both models over the texts, batch by batch, the base first; only the numbers above are kept.

    Args:
        pair: the models.
        texts: token ids with the places that are scored.
        settings: batch size and how many tokens' logits are kept.
        tell: called with the number of texts after each batch.
    """
    kept = _Kept(settings, len(texts))
    for rows in _batches(pair, texts, settings):
        batch = _collated(pair, [texts[row] for row in rows])
        labels = batch.pop("labels")
        with pair.base() as model:
            base_logits, base_states = _forward(model, pair, batch, labels, settings)
        with pair.tuned() as model:
            tuned_logits, tuned_states = _forward(model, pair, batch, labels, settings)
        with torch.inference_mode():
            kept.add_states(rows, base_states, tuned_states)
            kept.add_tokens([texts[row].text for row in rows], labels, base_logits, tuned_logits)
        tell(len(rows))
    return kept.done()


class _Kept:
    """Collects what is kept."""

    def __init__(self, settings: AuditSettings, texts: int) -> None:
        self.texts = texts
        self.parts: dict[str, list[NDArray[Any]]] = {}
        self.states: tuple[list[Floats], list[Floats]] = ([], [])
        self.sampled = np.random.default_rng(settings.seed)
        self.share = settings.logit_rows / max(texts, 1)
        self.limit = settings.logit_rows

    def add_states(self, rows: Sequence[int], *both: list[Tensor]) -> None:
        for kept, layers in zip(self.states, both, strict=True):
            if not kept:
                kept.extend(np.zeros((self.texts, layer.shape[1]), np.float32) for layer in layers)
            for place, layer in zip(kept, layers, strict=True):
                place[list(rows)] = layer.cpu().numpy()

    def add_tokens(self, texts: Sequence[int], labels: Tensor, base: Tensor, tuned: Tensor) -> None:
        scored = labels != IGNORED_LABEL
        owner = torch.tensor(texts, device=labels.device)[:, None].expand_as(labels)[scored]
        targets = labels[scored]
        rows = max(CHUNK_VALUES // base.shape[-1], 1)
        first, second = base[scored], tuned[scored]
        for start in range(0, len(targets), rows):
            here = slice(start, start + rows)
            self._add_chunk(owner[here], targets[here], first[here].float(), second[here].float())
        wanted = min(max(round(self.share * len(texts)), 1), len(targets), self.limit)
        if wanted:
            places = np.sort(self.sampled.choice(len(targets), wanted, replace=False))
            self.limit -= wanted
            self._append("logit_text", owner[places])
            self._append("base_logits", first[places].float())
            self._append("tuned_logits", second[places].float())

    def _add_chunk(self, owner: Tensor, targets: Tensor, base: Tensor, tuned: Tensor) -> None:
        drift = token_drift(base, tuned)
        self._append("text", owner)
        self._append("kl", drift.kl_nats)
        self._append("changed", drift.changed)
        for which, logits in (("base", base), ("tuned", tuned)):
            logs = logits.log_softmax(dim=-1)
            shares = logs.exp()
            at_target = logs.gather(1, targets[:, None])[:, 0]
            best = shares.max(dim=-1)
            self._append(f"{which}_loss", -at_target)
            self._append(f"{which}_entropy", torch.special.entr(shares).sum(dim=-1))
            self._append(f"{which}_confidence", best.values)
            self._append(f"{which}_correct", best.indices == targets)
            self._append(f"{which}_brier", (shares**2).sum(dim=-1) - 2 * at_target.exp() + 1)

    def _append(self, name: str, values: Tensor) -> None:
        self.parts.setdefault(name, []).append(values.cpu().numpy())

    def done(self) -> TextOutputs:
        found = {name: np.concatenate(parts) for name, parts in self.parts.items()}
        names = ("loss", "entropy", "confidence", "correct", "brier")
        values = {name: (found[f"base_{name}"], found[f"tuned_{name}"]) for name in names}
        tokens = TokenNumbers(found["text"], found["kl"], found["changed"], values)
        states = (tuple(self.states[0]), tuple(self.states[1]))
        return TextOutputs(tokens, states, (found["base_logits"], found["tuned_logits"]), found["logit_text"])


def _forward(
    model: Any, pair: Pair, batch: Mapping[str, Tensor], labels: Tensor, settings: AuditSettings
) -> tuple[Tensor, list[Tensor]]:
    """Logits for every label, and the pooled states of every layer."""
    decoder = bool(pair.config.is_encoder_decoder)
    inputs = {**batch, "labels": labels} if decoder else batch
    found = model(**inputs, output_hidden_states=True, return_dict=True, use_cache=False)
    ids = batch["input_ids"]
    check_outputs(found.logits, lambda row: text_named(pair.tokenizer.decode(ids[row].tolist())), tokens=True)
    mask = labels != IGNORED_LABEL if decoder else batch["attention_mask"]
    how = settings.features or "mean"
    return found.logits, [pooled(state, mask, how) for state in states_of(found, decoder=decoder)]


def _collated(pair: Pair, texts: Sequence[TokenText]) -> dict[str, Tensor]:
    """A batch padded on the right; the label at a place is the token that its logits speak of."""
    decoder = bool(pair.config.is_encoder_decoder)
    pad = pair.tokenizer.pad_token_id
    collate = Collator("generation", "right", 0 if pad is None else pad, decoder, None)
    batch = collate([{"input_ids": text.ids, "labels": text.labels} for text in texts])
    if not decoder:
        shifted = torch.full_like(batch["labels"], IGNORED_LABEL)
        shifted[:, :-1] = batch["labels"][:, 1:]
        batch["labels"] = shifted
    return {name: value.to(pair.device) for name, value in batch.items()}


def _batches(pair: Pair, texts: Sequence[TokenText], settings: AuditSettings) -> Iterator[list[int]]:
    """Row numbers by falling length, fewer where their logits would be many."""
    vocabulary = int(pair.config.get_text_config().vocab_size)
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row].ids))
    start = 0
    while start < len(order):
        longest = len(texts[order[start]].ids)
        size = max(min(settings.batch_size, BATCH_VALUES // (longest * vocabulary)), 1)
        yield order[start : start + size]
        start += size
