"""Every model family of the paper as a tiny random model, with the tasks it can do; cells of the method matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from balora.task import Task
from tests.support import rows, tiny

CLASSES = 3


@dataclass(frozen=True)
class Cell:
    """One family doing one task."""

    family: str
    """transformers' model_type."""
    task: Task

    def __str__(self) -> str:
        return f"{self.family}-{self.task}"

    @property
    def encoder_decoder(self) -> bool:
        return self.family == "t5" and self.task == "generation"

    @property
    def form(self) -> str:
        return "nlg" if self.task == "generation" else "nlu"

    def build(self, **changes: Any) -> PreTrainedModel:
        """The pretrained model, the same at every call."""
        if self.task == "generation":
            return tiny.build(self.family, "seq2seq_lm" if self.encoder_decoder else "causal_lm", **changes)
        outputs = {"num_labels": CLASSES if self.task == "classification" else 1, **changes}
        return tiny.build(self.family, "sequence_classification", **outputs)

    def rows(self) -> Any:
        """Training rows, tokens included."""
        if self.encoder_decoder:
            return rows.translated_rows()
        if self.task == "generation":
            return rows.language_rows()
        found = rows.classified_rows(classes=CLASSES) if self.task == "classification" else rows.scored_rows()
        # T5's classifier reads the state at an end token.
        return found.map(lambda row: {"input_ids": [*row["input_ids"], 2]}) if self.family == "t5" else found

    def collator(self, side: str = "right") -> Any:
        return rows.collator(self.task, side=side, encoder_decoder=self.encoder_decoder)

    def inputs(self, count: int = 2) -> dict[str, Any]:
        ids = tiny.random_ids(count, 8)
        ids[:, -1] = 2
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.encoder_decoder:
            inputs["decoder_input_ids"] = ids[:, :5]
        return inputs


DECODERS = ("llama", "mistral", "gemma", "gemma2", "qwen2", "mixtral", "deepseek_v2", "deepseek_v3", "gpt2")
ENCODERS = ("bert", "roberta", "deberta", "deberta-v2", "modernbert")
MIXTURES = ("mixtral", "deepseek_v2", "deepseek_v3")

CELLS: tuple[Cell, ...] = (
    *(Cell(family, task) for family in DECODERS for task in ("generation", "classification")),
    *(Cell(family, "classification") for family in ENCODERS),
    Cell("deberta-v2", "regression"),
    Cell("t5", "generation"),
    Cell("t5", "classification"),
)
"""Families x tasks."""

USUAL: tuple[Cell, ...] = (
    *(Cell(family, "generation") for family in DECODERS),
    *(Cell(family, "classification") for family in ENCODERS),
    Cell("t5", "generation"),
    Cell("t5", "classification"),
)
"""What each family is mostly used for."""
