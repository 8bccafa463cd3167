"""Tiny models loaded from a folder in few bits, wide enough for blocks of 64 weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from balora.models import ModelSettings, load_model
from balora.task import Task
from tests.support import tiny

HEADS: dict[str, tuple[str, Task]] = {
    "llama": ("causal_lm", "generation"),
    "gpt2": ("causal_lm", "generation"),
    "t5": ("seq2seq_lm", "generation"),
    "bert": ("sequence_classification", "classification"),
    "roberta": ("sequence_classification", "classification"),
    "deberta-v2": ("sequence_classification", "classification"),
}


def save_wide(folder: Path, family: str, **changes: Any) -> PreTrainedModel:
    """A model with rows of 64 and 128 weights in a folder; gives the model in full precision."""
    shape = {"hidden_size": 64, "intermediate_size": 128, **changes}
    model = tiny.build(family, HEADS[family][0], **shape)
    model.save_pretrained(folder)
    tiny.character_tokenizer().save_pretrained(folder)
    # from_pretrained remembers it; building does not.
    model.name_or_path = str(folder)
    return model


def load_in_bits(folder: Path, family: str, quantization: str | None = "nf4", **settings: Any) -> PreTrainedModel:
    """The model of a folder, quantized as a recipe would."""
    chosen = ModelSettings(name_or_path=str(folder), quantization=quantization, **settings)
    loaded = load_model(chosen, HEADS[family][1], tokenizer=tiny.character_tokenizer(), label_names=["no", "yes"])
    return loaded.model


def inputs_for(family: str) -> dict[str, Tensor]:
    """A small batch."""
    ids = tiny.random_ids(3, 9)
    return {"input_ids": ids, "decoder_input_ids": ids[:, :4]} if family == "t5" else {"input_ids": ids}


def nudge(model: torch.nn.Module, by: float = 0.02) -> None:
    """Move everything that trains, as some training would."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(by * torch.randn(parameter.shape, generator=generator))
