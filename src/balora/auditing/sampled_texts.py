"""Texts that both models write to the same beginnings, sampled with the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessorList

from balora.auditing.evidence import Evidence
from balora.auditing.texts import general_pieces
from balora.data import Collator, Conversation, Example, PromptedText
from balora.evaluation.finite import FiniteLogits
from balora.models import max_positions

PROMPT_TOKENS = 16
"""Of general text, the model goes on after so many tokens."""


def sample_texts(
    evidence: Evidence, *, tell: Callable[[int, int], None] = lambda _done, _all: None
) -> tuple[list[list[str]], list[list[str]]] | None:
    """Words of what base and tuned write, one text for each beginning; None where there is nothing to begin from.

    Rows of the task begin with their prompt; general text with its first tokens.
    """
    settings, pair = evidence.settings, evidence.pair
    prompts = _prompts(evidence)[: settings.generations]
    if not prompts:
        return None
    written = []
    for number, model_of in enumerate((pair.base, pair.tuned)):
        with model_of() as model, torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            texts: list[list[str]] = []
            for start in range(0, len(prompts), settings.batch_size):
                texts += _write(model, evidence, prompts[start : start + settings.batch_size])
                tell(number * len(prompts) + len(texts), 2 * len(prompts))
            written.append(texts)
    return written[0], written[1]


def _write(model: Any, evidence: Evidence, prompts: Sequence[list[int]]) -> list[list[str]]:
    settings, pair = evidence.settings, evidence.pair
    tokenizer = pair.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    decoder = bool(pair.config.is_encoder_decoder)
    collate = Collator("generation", "right" if decoder else "left", pad, decoder, None)
    batch = {name: value.to(pair.device) for name, value in collate([{"input_ids": ids} for ids in prompts]).items()}
    batch.pop("position_ids", None)
    found = model.generate(
        **batch,
        do_sample=True,
        temperature=settings.temperature,
        top_p=1.0,
        top_k=0,
        max_new_tokens=settings.new_tokens,
        pad_token_id=pad,
        logits_processor=LogitsProcessorList([FiniteLogits(tokenizer)]),
    )
    new = found if decoder else found[:, batch["input_ids"].shape[1] :]
    return [tokenizer.decode(ids, skip_special_tokens=True).split() for ids in new]


def _prompts(evidence: Evidence) -> list[list[int]]:
    tokenizer, settings = evidence.pair.tokenizer, evidence.settings
    positions = max_positions(evidence.pair.config)
    room = None if positions is None else max(positions - settings.new_tokens, 1)
    begun = [_beginning(row, tokenizer) for row in evidence.rows.task_texts]
    prompts = [ids[-room:] if room else ids for ids in begun if ids]
    if prompts:
        return prompts
    short = settings.model_copy(update={"text_tokens": PROMPT_TOKENS, "max_rows": 4 * settings.generations})
    pieces = general_pieces(evidence.rows.general, tokenizer, short, positions)
    whole = [np.asarray(piece.ids).tolist() for piece in pieces if len(piece.ids) == PROMPT_TOKENS]
    if not whole:  # rows of the task that are plain text begin with their own first tokens
        texts = [row.response for row in evidence.rows.task_texts if isinstance(row, PromptedText)]
        found = general_pieces(texts, tokenizer, short, positions)
        whole = [np.asarray(piece.ids).tolist() for piece in found]
    return whole


def _beginning(row: Example, tokenizer: Any) -> list[int]:
    """Token ids of a row's prompt; empty where it has none."""
    if isinstance(row, PromptedText):
        return list(tokenizer(row.prompt, verbose=False)["input_ids"]) if row.prompt.strip() else []
    if isinstance(row, Conversation) and tokenizer.chat_template is not None:
        messages = [{"role": each.role, "content": each.content} for each in row.messages[:-1]]
        found = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
        return list(found["input_ids"])
    return []
