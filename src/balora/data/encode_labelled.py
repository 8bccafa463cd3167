"""Token ids of classification and regression rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from balora.data.encoded import EncodedRow, EncodedSplit
from balora.data.examples import LabelledText, TextSplit
from balora.data.masking import BATCH_ROWS
from balora.data.settings import DataSettings
from balora.data.truncation import SplitLengths, too_long
from balora.errors import DataError


def encode_labelled(split: TextSplit, tokenizer: Any, settings: DataSettings, limit: int) -> EncodedSplit:
    """The rows of a split with the tokenizer's own special tokens; the longer text of a pair is cut first.

    Raises:
        DataError: when the special tokens alone fill the limit.
    """
    examples = [example for example in split.examples if isinstance(example, LabelledText)]
    _require_room(examples, tokenizer, limit)
    rows = list(_tokenized(examples, tokenizer))
    lengths = [len(row.ids) for row in rows]
    over = [index for index, length in enumerate(lengths) if length > limit]
    if settings.too_long == "error" and over:
        problem = too_long([examples[index].place for index in over], len(rows), limit, split.name)
        return EncodedSplit([], [], SplitLengths.of(lengths, 0, 0), [problem])
    if settings.too_long == "drop":
        dropped = set(over)
        kept = [index for index in range(len(rows)) if index not in dropped]
        return EncodedSplit([rows[index] for index in kept], kept, SplitLengths.of(lengths, 0, len(over)))
    short = _tokenized([examples[index] for index in over], tokenizer, limit)
    for index, row in zip(over, short, strict=True):
        rows[index] = row
    return EncodedSplit(rows, list(range(len(rows))), SplitLengths.of(lengths, len(over), 0))


def _tokenized(examples: Sequence[LabelledText], tokenizer: Any, limit: int | None = None) -> Iterator[EncodedRow]:
    for start in range(0, len(examples), BATCH_ROWS):
        batch = examples[start : start + BATCH_ROWS]
        pairs = [example.text_pair for example in batch if example.text_pair is not None]
        encoded = tokenizer(
            [example.text for example in batch],
            pairs or None,
            truncation="longest_first" if limit is not None else False,
            max_length=limit,
            return_attention_mask=False,
            verbose=False,
        )
        types = encoded.get("token_type_ids")
        for index, (ids, example) in enumerate(zip(encoded["input_ids"], batch, strict=True)):
            # Scores are floats and class ids integers; the dtype says which to everything that follows.
            labels = None if example.label is None else np.array(example.label)
            type_ids = np.array(types[index], dtype=np.int64) if types else None
            yield EncodedRow(np.array(ids, dtype=np.int64), labels, type_ids)


def _require_room(examples: Sequence[LabelledText], tokenizer: Any, limit: int) -> None:
    paired = any(example.text_pair is not None for example in examples)
    special = tokenizer.num_special_tokens_to_add(pair=paired)
    least = special + (2 if paired else 1)
    if limit < least:
        what = f"{limit} tokens hold no text: {special} of them are special tokens"
        raise DataError.at("data.max_length", what, f"set it to {least} or more")
