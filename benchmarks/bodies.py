"""Random-weight Llama models at the sizes that matter, and padded batches of natural lengths."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM


@dataclass(frozen=True)
class Body:
    """A model's shape, its adapter's rank, and its batch."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    rank: int
    sequences: int
    length: int

    def config(self) -> LlamaConfig:
        """As transformers wants it."""
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=self.length,
            tie_word_embeddings=False,
            use_cache=False,
            pad_token_id=0,
        )

    def build(self, device: str) -> LlamaForCausalLM:
        """Random weights, the same each time; bfloat16 on a GPU, float32 on a CPU."""
        torch.manual_seed(0)
        with torch.device(device):
            model = LlamaForCausalLM(self.config())
        return model.to(torch.bfloat16 if device == "cuda" else torch.float32)


BODIES = {
    # Small bodies under real vocabularies, for machines without a GPU.
    "small-V152k": Body("small-V152k", 256, 4, 8, 2, 1024, 151_936, 16, 8, 128),
    "small-V32k": Body("small-V32k", 512, 6, 8, 8, 1376, 32_000, 16, 8, 128),
    "0.5B": Body("0.5B", 896, 24, 14, 2, 4864, 151_936, 128, 32, 512),
    "7B": Body("7B", 4096, 32, 32, 32, 11_008, 32_000, 128, 32, 512),
}
SUPERVISED = 0.6
"""Share of a sequence's tokens that are learned: the answer."""


def padded_batch(body: Body, device: str) -> dict[str, Tensor]:
    """Sequences of lognormal lengths (coefficient of variation 0.4), padded on the right."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.exp(0.385 * torch.randn(body.sequences, generator=generator))
    lengths = (spread / spread.max() * body.length).long().clamp(8, body.length)
    places = torch.arange(body.length)[None]
    real = places < lengths[:, None]
    ids = torch.randint(1, body.vocabulary, (body.sequences, body.length), generator=generator) * real
    answer = real & (places >= ((1 - SUPERVISED) * lengths[:, None]).long())
    labels = torch.where(answer, ids, -100)
    batch = {"input_ids": ids, "attention_mask": real.long(), "labels": labels}
    return {name: value.to(device) for name, value in batch.items()}
