"""Token ids and labels of generation rows, for decoders and for encoder-decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora.data.chat import chat_template, render, tokenize_conversations, turns_of
from balora.data.encoded import EncodedRow, EncodedSplit
from balora.data.examples import Conversation, PromptedText, TextSplit
from balora.data.masking import BATCH_ROWS, TokenRow, stopping_at, tokenize_spans
from balora.data.settings import DataSettings
from balora.data.truncation import SplitLengths, shorten, too_long, without_answer
from balora.errors import DataError


def encode_decoder_only(
    split: TextSplit, tokenizer: Any, settings: DataSettings, limit: int, *, learn_all: bool
) -> EncodedSplit:
    """Prompt and response in one row; labels on the response and a learned end token behind it.

    Raises:
        DataError: when conversations meet a tokenizer without a chat template, or one that refuses them.
    """
    rows = token_rows(split, tokenizer)
    if learn_all:
        rows = [row.all_learned() for row in rows]
    lengths = [len(row.ids) for row in rows]
    over = {index for index, length in enumerate(lengths) if length > limit}
    places = [example.place for example in split.examples]
    if settings.too_long == "error" and over:
        problem = too_long([places[index] for index in sorted(over)], len(rows), limit, split.name)
        return EncodedSplit([], [], SplitLengths.of(lengths, 0, 0), [problem])
    dropped = over if settings.too_long == "drop" else set()
    kept = [index for index in range(len(rows)) if index not in dropped]
    keep_prompt_end = settings.too_long == "truncate_prompt"
    for index in over - dropped:
        rows[index] = shorten(rows[index], limit, keep_prompt_end, tokenizer.bos_token_id)
    silent = [index for index in kept if not rows[index].has_answer]
    problems = [
        without_answer([places[i] for i in silent if (i in over) is cut], len(rows), limit, split.name, cut)
        for cut in (True, False)
        if any((i in over) is cut for i in silent)
    ]
    encoded = [EncodedRow(rows[index].ids, rows[index].labels) for index in kept]
    return EncodedSplit(encoded, kept, SplitLengths.of(lengths, len(over - dropped), len(dropped)), problems)


def token_rows(split: TextSplit, tokenizer: Any) -> list[TokenRow]:
    """The rows of a split before any cut, each ending in a learned end token where the tokenizer has one."""
    conversations = [example for example in split.examples if isinstance(example, Conversation)]
    if conversations:
        rows = tokenize_conversations(tokenizer, conversations)
    else:
        prompted = [example for example in split.examples if isinstance(example, PromptedText)]
        texts = [example.prompt + example.response for example in prompted]
        spans = [[(len(example.prompt), len(text))] for example, text in zip(prompted, texts, strict=True)]
        rows = tokenize_spans(tokenizer, texts, spans, add_special_tokens=True)
    end = tokenizer.eos_token_id
    if end is None:
        return rows
    if conversations:
        rows = [stopping_at(row, end) for row in rows]
        return [row if end in row.ids[_last_stretch(row)] else row.ending_with(end) for row in rows]
    return [row.ending_with(end) for row in rows]


def _last_stretch(row: TokenRow) -> slice:
    learned = np.flatnonzero(row.learned)
    if not len(learned):
        return slice(0, 0)
    breaks = np.flatnonzero(np.diff(learned) > 1)
    first = learned[breaks[-1] + 1] if len(breaks) else learned[0]
    return slice(int(first), int(learned[-1]) + 1)


def encode_encoder_decoder(split: TextSplit, tokenizer: Any, settings: DataSettings, limit: int) -> EncodedSplit:
    """The prompt as the source, the response and the end token as the labels; the limit holds for each of them.

    Raises:
        DataError: when there is no prompt, or conversations meet a tokenizer without a chat template.
    """
    sources, targets = _source_and_target_texts(split, tokenizer)
    encoded = [
        EncodedRow(ids, labels)
        for ids, labels in zip(_ids(tokenizer, sources), _target_ids(tokenizer, targets), strict=True)
    ]
    places = [example.place for example in split.examples]
    lengths = [len(row.ids) for row in encoded]
    over = {i for i, row in enumerate(encoded) if len(row.ids) > limit or len(_answer(row)) > limit}
    if settings.too_long == "error" and over:
        problem = too_long([places[index] for index in sorted(over)], len(encoded), limit, split.name)
        return EncodedSplit([], [], SplitLengths.of(lengths, 0, 0), [problem])
    dropped = over if settings.too_long == "drop" else set()
    kept = [index for index in range(len(encoded)) if index not in dropped]
    for index in over - dropped:
        encoded[index] = _shortened(encoded[index], tokenizer, limit, settings.too_long == "truncate_prompt")
    silent = [places[index] for index in kept if not len(_answer(encoded[index]))]
    problems = [without_answer(silent, len(encoded), limit, split.name, cut=False)] if silent else []
    rows = [encoded[index] for index in kept]
    return EncodedSplit(rows, kept, SplitLengths.of(lengths, len(over - dropped), len(dropped)), problems)


def _answer(row: EncodedRow) -> NDArray[np.int64]:
    return row.labels if row.labels is not None else np.zeros(0, dtype=np.int64)


def _shortened(row: EncodedRow, tokenizer: Any, limit: int, keep_prompt_end: bool) -> EncodedRow:
    """The source without its middle tokens' surplus: the special tokens around it stay, as the encoder expects them."""
    ids = row.ids
    first = int(ids[0] in tokenizer.all_special_ids)
    last = int(ids[-1] in tokenizer.all_special_ids)
    if len(ids) > limit:
        inner = ids[first : len(ids) - last]
        room = max(limit - first - last, 0)
        inner = inner[len(inner) - room :] if keep_prompt_end else inner[:room]
        ids = np.concatenate([ids[:first], inner, ids[len(row.ids) - last :]])
    return EncodedRow(ids, _answer(row)[:limit])


def _source_and_target_texts(split: TextSplit, tokenizer: Any) -> tuple[list[str], list[str]]:
    conversations = [example for example in split.examples if isinstance(example, Conversation)]
    if conversations:
        chat_template(tokenizer)
        chats = [turns_of(conversation) for conversation in conversations]
        places = [conversation.place for conversation in conversations]
        sources = render(tokenizer, [chat[:-1] for chat in chats], places, ask=True)
        return sources, [chat[-1]["content"] for chat in chats]
    prompted = [example for example in split.examples if isinstance(example, PromptedText)]
    empty = [example.place for example in prompted if not example.prompt.strip()]
    if empty:
        what = f"an encoder-decoder model needs a prompt, and {len(empty)} rows have none (first: {empty[0]})"
        raise DataError.at("data.format", what, "use a format with prompt and response")
    return [example.prompt for example in prompted], [example.response for example in prompted]


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), BATCH_ROWS):
        batch = tokenizer(list(texts[start : start + BATCH_ROWS]), return_attention_mask=False, verbose=False)
        found += [np.array(ids, dtype=np.int64) for ids in batch["input_ids"]]
    return found


def _target_ids(tokenizer: Any, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    end = tokenizer.eos_token_id
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), BATCH_ROWS):
        batch = tokenizer(text_target=list(texts[start : start + BATCH_ROWS]), verbose=False)
        for ids in batch["input_ids"]:
            ended = ids if end is None or ids[-1:] == [end] else [*ids, end]
            found.append(np.array(ended, dtype=np.int64))
    return found
