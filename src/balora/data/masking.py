"""From text and the characters to learn to token ids and the tokens to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora.task import IGNORED_LABEL

Span = tuple[int, int]
"""First character and the one after the last."""

BATCH_ROWS = 1000
"""Rows per call of the tokenizer."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Token ids (length,) and which of them carry a label (length,)."""

    ids: NDArray[np.int64]
    learned: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The ids where learned, IGNORED_LABEL elsewhere."""
        return np.where(self.learned, self.ids, IGNORED_LABEL)

    @property
    def has_answer(self) -> bool:
        """Whether any token is learned that a decoder can predict: all but the very first can be."""
        return bool(self.learned[1:].any())

    def ending_with(self, token_id: int) -> TokenRow:
        """The row with a learned end token: the one that is already last, or a new one."""
        if len(self.ids) and self.ids[-1] == token_id:
            return TokenRow(self.ids, np.append(self.learned[:-1], True))
        return TokenRow(np.append(self.ids, token_id), np.append(self.learned, True))

    def all_learned(self) -> TokenRow:
        """The row with a label on every token."""
        return TokenRow(self.ids, np.ones(len(self.ids), dtype=bool))


def learned_tokens(offsets: NDArray[np.int64], added: NDArray[np.int64], spans: Sequence[Span]) -> NDArray[np.bool_]:
    """Which tokens belong to the spans.

    A token that straddles the edge of a span counts as part of it. `offsets` (tokens, 2) are the characters of each
    token, `added` (tokens,) is 1 for tokens the tokenizer put around the text; these are never learned. A token
    without characters of its own (tokenizers that trim white space from offsets make those) belongs to the span that
    its position ends.
    """
    start, end = offsets[:, 0], offsets[:, 1]
    learned = np.zeros(len(offsets), dtype=bool)
    for first, after in spans:
        overlaps = (start < after) & (end > first) & (start < end)
        trimmed = (start == end) & ((first < end) | (first == 0)) & (end <= after)
        learned |= overlaps | trimmed
    return np.asarray(learned & (added == 0))


def tokenize_spans(
    tokenizer: Any, texts: Sequence[str], spans: Sequence[Sequence[Span]], *, add_special_tokens: bool
) -> list[TokenRow]:
    """Token rows of texts whose spans are learned; no end token is added beyond what the tokenizer does itself.

    A fast tokenizer reads the whole text at once and its offsets tell the tokens apart. A slow one has no offsets, so
    each part is tokenized alone.
    """
    if not tokenizer.is_fast:
        return [
            _tokenize_parts(tokenizer, text, row_spans, add_special_tokens)
            for text, row_spans in zip(texts, spans, strict=True)
        ]
    rows: list[TokenRow] = []
    for start in range(0, len(texts), BATCH_ROWS):
        batch = tokenizer(
            list(texts[start : start + BATCH_ROWS]),
            add_special_tokens=add_special_tokens,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        columns = (batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"])
        for ids, offsets, added, row_spans in zip(*columns, spans[start : start + BATCH_ROWS], strict=True):
            characters = np.array(offsets, dtype=np.int64).reshape(-1, 2)
            learned = learned_tokens(characters, np.array(added, dtype=np.int64), row_spans)
            rows.append(TokenRow(np.array(ids, dtype=np.int64), learned))
    return rows


def _tokenize_parts(tokenizer: Any, text: str, spans: Sequence[Span], add_special_tokens: bool) -> TokenRow:
    cuts = sorted({0, len(text), *(edge for span in spans for edge in span)})
    ids: list[int] = []
    learned: list[bool] = []
    for first, after in pairwise(cuts):
        part = tokenizer(text[first:after], add_special_tokens=False, verbose=False)["input_ids"]
        ids += part
        learned += [any(start <= first < end for start, end in spans)] * len(part)
    if add_special_tokens:
        before, behind = surrounding_tokens(tokenizer)
        ids = [*before, *ids, *behind]
        learned = [False] * len(before) + learned + [False] * len(behind)
    return TokenRow(np.array(ids, dtype=np.int64), np.array(learned, dtype=bool))


def surrounding_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The token ids a tokenizer puts before and behind a text by default."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


def stopping_at(row: TokenRow, end_id: int) -> TokenRow:
    """The row with nothing learned behind an end token within the same stretch: generation stops there."""
    if end_id not in row.ids[row.learned]:
        return row
    learned = row.learned.copy()
    ended = False
    for position, is_learned in enumerate(row.learned):
        ended = ended and bool(is_learned)
        learned[position] = is_learned and not ended
        ended = ended or bool(is_learned and row.ids[position] == end_id)
    return TokenRow(row.ids, learned)
