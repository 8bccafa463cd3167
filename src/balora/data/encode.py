"""From text data to token ids and labels, with everything that was cut or left out counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from balora.data.encode_labelled import encode_labelled
from balora.data.encode_prompted import encode_decoder_only, encode_encoder_decoder
from balora.data.encoded import EncodedData, EncodedSplit, rows_as_dataset
from balora.data.examples import SPLITS, SplitName, TextData, TextSplit
from balora.data.fingerprint import rows_sha256
from balora.data.settings import DataSettings
from balora.data.truncation import SplitLengths, length_limit
from balora.errors import DataError, Problem


def encode(
    text: TextData,
    tokenizer: Any,
    settings: DataSettings,
    *,
    encoder_decoder: bool = False,
    max_positions: int | None = None,
) -> EncodedData:
    """Token ids and labels of every split.

    Rows are at most min(`data.max_length`, `max_positions`, the tokenizer's own limit) long. Prompts and padding carry
    IGNORED_LABEL, class labels are integers, scores are floats.

    Raises:
        DataError: when rows would lose every label, are too long where that is an error, or fit no chat template.
    """
    limit, notes = length_limit(settings, tokenizer, max_positions)
    notes = [*notes, *_tokenizer_notes(text, tokenizer)]
    encoded: dict[SplitName, EncodedSplit] = {}
    problems: list[Problem] = []
    for name in SPLITS:
        split = text.split(name)
        if split is not None:
            encoded[name] = encode_split(split, text, tokenizer, settings, limit, encoder_decoder)
            problems += encoded[name].problems
            notes += _length_notes(name, encoded[name].lengths, limit)
    notes += _end_notes(text, encoded["train"], tokenizer.eos_token_id, limit)
    problems = problems or [_nothing_left(name, limit) for name, split in encoded.items() if not split.rows]
    if problems:
        raise DataError(problems)
    fingerprints = {name: _fingerprint(split) for name, split in encoded.items()}
    datasets = {name: rows_as_dataset(split.rows, fingerprints[name]) for name, split in encoded.items()}
    return EncodedData(
        train=datasets["train"],
        validation=datasets.get("validation"),
        test=datasets.get("test"),
        lengths={name: split.lengths for name, split in encoded.items()},
        source_rows={name: tuple(split.source_rows) for name, split in encoded.items()},
        fingerprint=fingerprints["train"],
        max_length=limit,
        encoder_decoder=encoder_decoder and text.task == "generation",
        notes=tuple(notes),
    )


def encode_split(
    split: TextSplit, text: TextData, tokenizer: Any, settings: DataSettings, limit: int, encoder_decoder: bool
) -> EncodedSplit:
    """Token ids and labels of one split, at most `limit` long; what is wrong is among its problems."""
    if text.task != "generation":
        return encode_labelled(split, tokenizer, settings, limit)
    if encoder_decoder:
        return encode_encoder_decoder(split, tokenizer, settings, limit)
    learn_all = settings.learn_on == "all" or text.format == "text"
    return encode_decoder_only(split, tokenizer, settings, limit, learn_all=learn_all)


def _fingerprint(split: EncodedSplit) -> str:
    none = np.zeros(0, dtype=np.int64)
    return rows_sha256((row.ids, none if row.labels is None else np.atleast_1d(row.labels)) for row in split.rows)


def _tokenizer_notes(text: TextData, tokenizer: Any) -> list[str]:
    if text.task != "generation":
        return []
    notes = []
    if tokenizer.eos_token_id is None:
        notes.append("the tokenizer has no end token, so the model will not learn to stop")
    if not tokenizer.is_fast:
        notes.append("the tokenizer gives no character offsets, so prompt and response are tokenized apart")
    return notes


def _end_notes(text: TextData, train: EncodedSplit, end_id: int | None, limit: int) -> list[str]:
    """A model that never sees the end token as something to write does not learn to stop."""
    if text.task != "generation" or end_id is None or not train.rows:
        return []
    if any(row.labels is not None and end_id in row.labels for row in train.rows):
        return []
    why = f"every row is cut at {limit} tokens" if train.lengths.rows_cut == len(train.rows) else "no row ends in it"
    return [f"train: {why}, so the end token is never learned and the model will not learn to stop"]


def _length_notes(name: str, lengths: SplitLengths, limit: int) -> list[str]:
    share = f"of {lengths.rows} rows are longer than {limit} tokens and"
    counts = {"cut": lengths.rows_cut, "left out": lengths.rows_dropped}
    return [f"{name}: {count} {share} {fate}" for fate, count in counts.items() if count]


def _nothing_left(name: str, limit: int) -> Problem:
    return Problem(name, f"every row is longer than {limit} tokens and left out", "raise data.max_length")
