"""Pre-training of a tiny Llama-architecture model on a world's corpus, in a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from pydantic import Field
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from balora.settings import Settings
from balora.task import IGNORED_LABEL

OnStep = Callable[[int, int, float], None]
"""Called after every step with the steps done, the steps in all, and the loss in nats per token."""


class PretrainingSettings(Settings):
    """The shape of the tiny model and how long it reads.

    The defaults make 0.8 million parameters that know every fact of the default world after about a minute of one CPU
    core.
    """

    layers: int = Field(default=4, ge=1)
    """Transformer layers."""
    hidden_size: int = Field(default=128, ge=8)
    """Width of the hidden states."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; they divide hidden_size."""
    intermediate_size: int = Field(default=344, ge=8)
    """Width inside the feed-forward layers."""
    steps: int = Field(default=750, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(default=64, ge=1)
    """Sentences per step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of AdamW; it falls linearly to 0 after the warm-up."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's weight decay."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps over which the learning rate rises."""
    seed: int = 0
    """Seed of the first weights and of the order of the sentences."""


def pretrain(
    sentences: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    settings: PretrainingSettings,
    *,
    on_step: OnStep | None = None,
) -> LlamaForCausalLM:
    """A model that has read the sentences, in evaluation mode, float32, on the CPU.

    The same arguments give the same weights on one machine with one number of threads; torch's own random state is
    left alone.
    """
    ids = sentence_ids(sentences, tokenizer)
    model = _fresh_model(tokenizer, settings).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    for step, rows in enumerate(_batches(len(ids), settings)):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings)
        loss = next_token_loss(model(input_ids=ids[rows]).logits, ids[rows], int(tokenizer.pad_token_id))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if on_step is not None:
            on_step(step + 1, settings.steps, loss.item())
    return model.eval()


def sentence_ids(sentences: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Token ids (sentences, longest), each sentence between <s> and </s>, padded on the right."""
    texts = [f"{sentence} {tokenizer.eos_token}" for sentence in sentences]
    ids: torch.Tensor = tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
    return ids


def next_token_loss(logits: torch.Tensor, ids: torch.Tensor, pad_token_id: int) -> torch.Tensor:
    """Mean cross-entropy in nats of every token after the first, padding left out; logits (rows, length, words)."""
    targets = ids[:, 1:].masked_fill(ids[:, 1:] == pad_token_id, IGNORED_LABEL)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=IGNORED_LABEL)


def _fresh_model(tokenizer: PreTrainedTokenizerFast, settings: PretrainingSettings) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        intermediate_size=settings.intermediate_size,
        max_position_embeddings=tokenizer.model_max_length,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype=torch.float32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return LlamaForCausalLM(config)


def _batches(rows: int, settings: PretrainingSettings) -> Iterator[torch.Tensor]:
    """Row numbers of each step; every pass over the rows has its own order, and its ragged end is left out."""
    generator = torch.Generator().manual_seed(settings.seed)
    size = min(settings.batch_size, rows)
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(settings.steps):
        if len(waiting) < size:
            waiting = torch.randperm(rows, generator=generator)
        yield waiting[:size]
        waiting = waiting[size:]


def _rate(step: int, settings: PretrainingSettings) -> float:
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    return warmup * (settings.steps - step) / settings.steps
