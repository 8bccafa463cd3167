"""A world's word-level tokenizer: one token per word, a little over a hundred of them."""

from __future__ import annotations

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from balora.lab.lexicon import CITY_QUESTION, FRAMES, PRONOUNS, SPECIAL_TOKENS
from balora.lab.world import World

MAX_TOKENS = 64
"""Longest text; the longest sentence of any world has about a dozen words."""


def vocabulary(world: World) -> tuple[str, ...]:
    """Every word of the world's corpus and of its downstream task, special tokens first.

    >>> from balora.lab.world import WorldSettings, build_world
    >>> vocabulary(build_world(WorldSettings()))[:4]
    ('<pad>', '<s>', '</s>', '<unk>')
    """
    frames = [frame for group in FRAMES.values() for frame in group[: world.settings.phrasings]] + [CITY_QUESTION]
    words = {word for frame in frames for word in frame.split() if not word.startswith("{")}
    words |= {part for person in world.people for part in person.split()}
    words |= {*world.jobs, *world.cities, *PRONOUNS}
    return (*SPECIAL_TOKENS, *sorted(words))


def build_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The tokenizer of a world; it puts <s> in front, and splits at white space alone.

    So a prompt and its completion have the same tokens together as apart, whatever white space stands between them.
    """
    ids = {word: index for index, word in enumerate(vocabulary(world))}
    backend = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", ids["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="right",
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )
