"""Load the tokenizer and make sure that batches can be padded."""

from __future__ import annotations

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from balora.errors import ModelError
from balora.models.failures import explain_load_failure
from balora.models.settings import ModelSettings
from balora.models.trust import check_files, may_run_code

PAD_CANDIDATES = ("<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>", "<|padding|>", "<|endoftext|>")
"""Tokens that some model families reserve for padding without saying so in the tokenizer."""


def load_tokenizer(settings: ModelSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with a padding token.

    Raises:
        ModelError: not found, gated, offline, without words, or without any token that could pad.
    """
    name = settings.tokenizer or settings.name_or_path
    key = "model.tokenizer" if settings.tokenizer else "model.name_or_path"
    revision = None if settings.tokenizer else settings.revision
    check_files(key, name, revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=revision, trust_remote_code=may_run_code(name, revision)
        )
    except MemoryError:
        raise
    except Exception as error:  # a stranger's file can make the libraries raise anything
        raise explain_load_failure(key, name, error) from error
    longest = tokenizer.model_max_length
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, int | float)):
        what = f"model_max_length in tokenizer_config.json of '{name}' is {str(longest)[:80]!r}, expected a number"
        raise ModelError.at(key, what, "correct it, or take it out")
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # transformers makes an empty one of the model's class where a folder holds no tokenizer.
        what = f"'{name}' holds no tokenizer: no text could be told from another"
        raise ModelError.at(key, what, "set model.tokenizer to the model's own, or copy its tokenizer files there")
    ensure_padding(tokenizer, name)
    return tokenizer


def ensure_padding(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Give a tokenizer without a padding token one that exists: a reserved one, else unknown, else end of text.

    The collator masks labels by position, never by id, so padding with the end token does not unlearn it.

    Raises:
        ModelError: when there is nothing to pad with.
    """
    if tokenizer.pad_token_id is not None:
        return
    vocabulary = tokenizer.get_vocab()
    reserved = next((token for token in PAD_CANDIDATES if token in vocabulary and token != tokenizer.eos_token), None)
    chosen = reserved or tokenizer.unk_token or tokenizer.eos_token
    if chosen is None:
        what = f"the tokenizer of '{name}' has no padding, unknown or end token"
        raise ModelError.at("model.tokenizer", what, "name a tokenizer that has one")
    tokenizer.pad_token = chosen
