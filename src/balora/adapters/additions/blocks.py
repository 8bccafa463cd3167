"""Where a transformer block of each architecture ends its attention and its feed-forward part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from transformers import PreTrainedModel

from balora.errors import ModelError, did_you_mean


@dataclass(frozen=True, slots=True)
class Block:
    """Names of modules inside one numbered block; their output is that of the sub-layer, before it is added back."""

    attention: tuple[str, ...]
    """Self-attention, and attention to the encoder where there is one."""
    feed_forward: tuple[str, ...]
    """The feed-forward part; of a mixture of experts the whole of it."""


_LLAMA = Block(("self_attn.o_proj",), ("mlp",))
_BERT = Block(("attention.output.dense",), ("output.dense",))

BLOCKS: Mapping[str, Block] = MappingProxyType(
    {
        **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3"), _LLAMA),
        **dict.fromkeys(
            ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3", "olmo2", "smollm3"), _LLAMA
        ),
        **dict.fromkeys(("bert", "roberta", "xlm-roberta", "electra", "camembert", "deberta", "deberta-v2"), _BERT),
        "distilbert": Block(("attention.out_lin",), ("ffn",)),
        "gpt2": Block(("attn.c_proj",), ("mlp",)),
        "gpt_neox": Block(("attention.dense",), ("mlp",)),
        "modernbert": Block(("attn.Wo",), ("mlp",)),
        "opt": Block(("self_attn.out_proj",), ("fc2",)),
        "t5": Block(("SelfAttention.o", "EncDecAttention.o"), ("DenseReluDense",)),
    }
)
"""transformers' model_type -> the ends of its sub-layers."""


def sublayers(model: PreTrainedModel, *, attention: bool) -> list[str]:
    """The names of the modules whose output gets a bottleneck, in the model's order.

    Args:
        model: the pretrained model.
        attention: after attention as well (houlsby), or after feed-forward alone (pfeiffer).

    Raises:
        ModelError: the architecture is not in the table, or its modules have other names than the table says.
    """
    kind = model.config.model_type
    block = BLOCKS.get(kind)
    if block is None:
        what = f"bottlenecks know no block of architecture '{kind}'"
        raise ModelError.at("adapter.method", what, f"{did_you_mean(kind, BLOCKS)} or use lora")
    names = [name for name, _ in model.named_modules()]
    found = []
    for ending in (*(block.attention if attention else ()), *block.feed_forward):
        pattern = re.compile(rf".*\.\d+(\.layer\.\d+)?\.{re.escape(ending)}")
        matching = [name for name in names if pattern.fullmatch(name)]
        if not matching and ending != "EncDecAttention.o":
            what = f"architecture '{kind}' should have modules '{ending}' in its blocks, and has none"
            raise ModelError.at("adapter.method", what, "use lora, and report the version of transformers")
        found += matching
    return [name for name in names if name in set(found)]


def width_of(model: PreTrainedModel) -> int:
    """How many numbers a hidden state has."""
    width = model.config.get_text_config().hidden_size
    return int(width)
