"""What happens to rows that are longer than allowed, and how long the rows were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from balora.data.bad_rows import SHOWN
from balora.data.masking import TokenRow
from balora.data.settings import DataSettings
from balora.errors import Problem

_NO_LIMIT = 1_000_000
"""transformers writes an absurdly large model_max_length where a tokenizer names none."""


@dataclass(frozen=True)
class SplitLengths:
    """Lengths in tokens before any cut, over the rows of a split; encoder-decoder: of the source text."""

    rows: int
    p50_tokens: int
    p95_tokens: int
    max_tokens: int
    rows_cut: int
    rows_dropped: int

    @classmethod
    def of(cls, lengths: Sequence[int], rows_cut: int, rows_dropped: int) -> SplitLengths:
        """Percentiles are nearest ranks, so each is a length that occurs.

        >>> SplitLengths.of([3, 1, 2], 0, 0).p50_tokens
        2
        """
        ordered = sorted(lengths)
        ranks = [max(-(-share * len(ordered) // 100) - 1, 0) for share in (50, 95, 100)]
        p50, p95, longest = (ordered[rank] if ordered else 0 for rank in ranks)
        return cls(len(ordered), p50, p95, longest, rows_cut, rows_dropped)

    def __str__(self) -> str:
        text = f"{self.rows} rows, tokens p50 {self.p50_tokens}, p95 {self.p95_tokens}, max {self.max_tokens}"
        return f"{text}; cut {self.rows_cut}, dropped {self.rows_dropped}"


def length_limit(settings: DataSettings, tokenizer: Any, max_positions: int | None) -> tuple[int, list[str]]:
    """The longest row allowed, in tokens, and a note when it is less than `data.max_length`."""
    limits = {"data.max_length": settings.max_length}
    if max_positions is not None:
        limits["the model's positions"] = max_positions
    if tokenizer.model_max_length is not None and 0 < tokenizer.model_max_length < _NO_LIMIT:
        limits["the tokenizer's model_max_length"] = int(tokenizer.model_max_length)
    reason, limit = min(limits.items(), key=lambda entry: entry[1])
    if limit == settings.max_length:
        return limit, []
    return limit, [f"max_length is {limit} instead of {settings.max_length}: {reason} allow no more"]


def shorten(row: TokenRow, limit: int, keep_prompt_end: bool, first_id: int | None) -> TokenRow:
    """The row cut to `limit` tokens at its end; with `keep_prompt_end` first from the left of what is not learned.

    `first_id` is the id of a beginning-of-sequence token, which stays in front.
    """
    ids, learned = row.ids, row.learned
    if keep_prompt_end:
        kept = int(len(ids) > 0 and ids[0] == first_id and not learned[0])
        prompt = int(np.argmax(learned)) if learned.any() else len(ids)
        removed = min(max(len(ids) - limit, 0), max(prompt - kept, 0))
        ids = np.concatenate([ids[:kept], ids[kept + removed :]])
        learned = np.concatenate([learned[:kept], learned[kept + removed :]])
    return TokenRow(ids[:limit], learned[:limit])


def without_answer(places: Sequence[str], rows: int, limit: int, where: str, cut: bool) -> Problem:
    """The problem of rows that have no learned token, `places` being theirs."""
    first = ", ".join(places[:SHOWN])
    if not cut:
        what = f"{len(places)} of {rows} rows have no token to learn with this tokenizer (first: {first})"
        return Problem(where, what, "take them out, or use the model's own tokenizer")
    what = f"{len(places)} of {rows} rows have no answer token left at max_length {limit} (first: {first})"
    return Problem(
        where, what, "set data.too_long: truncate_prompt or drop, or raise data.max_length if the model has room"
    )


def too_long(places: Sequence[str], rows: int, limit: int, where: str) -> Problem:
    """The problem of rows over the limit when `data.too_long` is error."""
    what = f"{len(places)} of {rows} rows are longer than {limit} tokens (first: {', '.join(places[:SHOWN])})"
    return Problem(where, what, "raise data.max_length or set data.too_long: truncate or drop")
