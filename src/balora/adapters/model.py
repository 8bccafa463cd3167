"""PEFT's model classes, with saving that always writes plain LoRA on the unmodified base."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import (
    AdaLoraConfig,
    LoraConfig,
    PeftModelForCausalLM,
    PeftModelForSeq2SeqLM,
    PeftModelForSequenceClassification,
    TaskType,
)
from torch import Tensor

from balora.adapters.adalora import as_plain_factors, plain_config_of
from balora.adapters.anchor import ADAPTER_NAME, as_plain_lora
from balora.adapters.fold import folded_layers, unfold
from balora.adapters.residual_base import save_residual_base
from balora.errors import ModelError

WITHOUT_BASE = "saves_adapter_only"
"""Set on a model while checkpoints are saved, which need no base of their own."""


@contextmanager
def adapter_only(model: object) -> Iterator[None]:
    """Inside the block `save_pretrained` writes the adapter alone, also where its base is the run's own."""
    vars(model)[WITHOUT_BASE] = True
    try:
        yield
    finally:
        del vars(model)[WITHOUT_BASE]


class PlainLoraSaving:
    """Mix-in: `save_pretrained` writes an adapter that stock PEFT, vLLM or lm-eval load without knowing the anchor.

    On an anchored model use it rather than `peft.get_peft_model_state_dict`, which gives factors of rank r and anchors
    that nothing else reads: without the anchors they are not the trained function.
    """

    peft_config: dict[str, LoraConfig]

    def load_adapter(self, model_id: str | os.PathLike[str], adapter_name: str, *args: Any, **options: Any) -> Any:
        """As in PEFT, under a name of its own; the trained adapter is anchored and what is on disk is plain LoRA.

        Raises:
            ModelError: when plain LoRA would be loaded over the anchored adapter, or on a base with a folded anchor.
        """
        if folded_layers(self):  # type: ignore[arg-type]
            what = "the trained adapter's anchor is folded into the base, and another adapter would run on what is left"
            raise ModelError.at("load_adapter", what, "load it with peft into the pretrained model")
        anchored = any(f".anchor.{adapter_name}." in name for name, _ in self.named_buffers())  # type: ignore[attr-defined]
        if anchored:
            what = f"'{adapter_name}' is anchored at its start, and a saved adapter is plain LoRA of twice its rank"
            fix = "load it under another name, into the pretrained model with peft, or a checkpoint with trainer.train"
            raise ModelError.at("load_adapter", what, fix)
        return super().load_adapter(os.fspath(model_id), adapter_name, *args, **options)  # type: ignore[misc]

    def unload(self) -> Any:
        """As in PEFT: the base without adapter. Folded anchors are put back first; a quantized residual stays one."""
        unfold(self)  # type: ignore[arg-type]
        return self.base_model.unload()  # type: ignore[attr-defined]

    def delete_adapter(self, adapter_name: str) -> None:
        """As in PEFT. Folded anchors are put back into the base first."""
        if adapter_name == ADAPTER_NAME:
            unfold(self)  # type: ignore[arg-type]
        super().delete_adapter(adapter_name)  # type: ignore[misc]

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], state_dict: Mapping[str, Tensor] | None = None, **options: Any
    ) -> None:
        """Write adapter_model.safetensors and adapter_config.json, plain LoRA of rank 2r where layers are anchored.

        Args:
            save_directory: folder, made where it is missing.
            state_dict: the model's full state where it was gathered already.
            options: PEFT's own (safe_serialization, is_main_process, ...).
        """
        if options.get("is_main_process", True) and not vars(self).get(WITHOUT_BASE):
            save_residual_base(self, Path(save_directory))
        full_state = self.state_dict() if state_dict is None else state_dict  # type: ignore[attr-defined]
        trained_config = self.peft_config[ADAPTER_NAME]
        if isinstance(trained_config, AdaLoraConfig):
            plain_state, rank = as_plain_factors(full_state, trained_config)
            self.peft_config[ADAPTER_NAME] = plain_config(plain_config_of(trained_config, rank), anchored=False)
        else:
            plain_state = as_plain_lora(full_state)
            self.peft_config[ADAPTER_NAME] = plain_config(trained_config, anchored=has_anchor(full_state))
        try:
            super().save_pretrained(  # type: ignore[misc]
                os.fspath(save_directory), state_dict=plain_state, **options
            )
        finally:
            self.peft_config[ADAPTER_NAME] = trained_config


class AdaptedCausalLM(PlainLoraSaving, PeftModelForCausalLM):
    """A decoder-only language model with its adapter."""


class AdaptedSeq2SeqLM(PlainLoraSaving, PeftModelForSeq2SeqLM):
    """An encoder-decoder language model with its adapter."""


class AdaptedSequenceClassification(PlainLoraSaving, PeftModelForSequenceClassification):
    """A classifier or regressor with its adapter and trained head."""


AdaptedModel = AdaptedCausalLM | AdaptedSeq2SeqLM | AdaptedSequenceClassification

ADAPTED_MODELS: dict[TaskType, type[AdaptedModel]] = {
    TaskType.CAUSAL_LM: AdaptedCausalLM,
    TaskType.SEQ_2_SEQ_LM: AdaptedSeq2SeqLM,
    TaskType.SEQ_CLS: AdaptedSequenceClassification,
}


def refuse_weighted_adapter(*args: Any, **options: Any) -> None:
    """In place of PEFT's `add_weighted_adapter` on an anchored model, where it would drop the anchor.

    Raises:
        ModelError: always.
    """
    del args, options
    what = "cannot mix an anchored adapter, because PEFT knows nothing of the anchor"
    raise ModelError.at("add_weighted_adapter", what, "save it, load it with peft, and mix it there")


def has_anchor(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether any layer in this state is anchored."""
    return any(f".anchor.{ADAPTER_NAME}." in name for name in state_dict)


def plain_config(trained: LoraConfig, *, anchored: bool) -> LoraConfig:
    """The configuration under which the saved factors compute the trained function.

    With an anchor rank and alpha double, which leaves alpha/r as it is.
    """
    plain = copy.deepcopy(trained)
    plain.inference_mode = True
    if trained.modules_to_save is not None:
        plain.modules_to_save = list(dict.fromkeys(trained.modules_to_save))
    if anchored:
        plain.r, plain.lora_alpha = 2 * trained.r, 2 * trained.lora_alpha
        plain.rank_pattern = {name: 2 * rank for name, rank in trained.rank_pattern.items()}
        plain.alpha_pattern = {name: 2 * alpha for name, alpha in trained.alpha_pattern.items()}
    return plain
