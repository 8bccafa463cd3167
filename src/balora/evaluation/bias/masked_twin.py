"""A fine-tuned classifier as a masked language model: its encoder under the pretrained model's own word head."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
from peft.utils import load_peft_weights

from balora.errors import ModelError
from balora.evaluation.bias.language_model import LanguageModel
from balora.models import ModelSettings, check_adapter, load_masked_model, load_tokenizer

UNDER_THE_WORD_HEAD = (
    "bias of the encoder under the pretrained word head, which was not trained with it: drift may look like bias"
)
"""What to know about numbers of a twin."""

_WRAPPED = "base_model.model."
_POOLER = ".pooler."
_LEAVE_THE_BASE = frozenset({"gaussian", "eva", "orthogonal"})
"""Starts by name with which PEFT leaves the base weights alone."""


@dataclass(frozen=True)
class MaskedTwin:
    """An encoder that can be asked for words."""

    model: Any
    """With the adapter active, where there is one; `model.disable_adapter` gives the base."""
    tokenizer: Any

    def asked(self, *, batch_size: int = 32) -> dict[str, LanguageModel]:
        """`base` and `tuned` as benchmarks ask them; of an encoder without an adapter both are the same."""
        off = self.model.disable_adapter if isinstance(self.model, peft.PeftModel) else nullcontext
        return {
            "base": LanguageModel(self.model, self.tokenizer, batch_size=batch_size, around=off),
            "tuned": LanguageModel(self.model, self.tokenizer, batch_size=batch_size),
        }


def masked_twin(settings: ModelSettings, adapter: Path | None = None) -> MaskedTwin:
    """Load an encoder with its masked-language-model head, and an adapter that was trained under a head for classes.

    The head for classes is left out, and so are adapter weights in a pooler, which no word head reads. What the
    benchmarks then see is what fine-tuning did to the encoder; the head itself stays the pretrained one, which the
    fine-tune never trained together with the encoder, so a changed number may be drift as well as bias.

    Args:
        settings: the pretrained model.
        adapter: a folder with a LoRA adapter of PEFT, as balora and PEFT save it.

    Raises:
        ModelError: the model is no encoder or holds no word head, or the adapter does not fit it.
    """
    if adapter is not None:
        check_adapter(adapter)
    loaded = load_masked_model(settings)
    model: Any = loaded.model
    missing = [key for key in loaded.fresh_parameters if not key.startswith(f"{model.base_model_prefix}.")]
    if missing:
        what = f"'{settings.name_or_path}' holds no masked-language-model head ({missing[0]} is missing)"
        raise ModelError.at("bias", what, "a random head would say nothing; use the checkpoint that was pretrained")
    if adapter is not None:
        model = _adapted(model, adapter)
    return MaskedTwin(model.eval(), load_tokenizer(settings))


def _adapted(model: Any, adapter: Path) -> peft.PeftModel:
    config = peft.PeftConfig.from_pretrained(str(adapter))
    if not isinstance(config, peft.LoraConfig):
        what = f"the adapter is a {config.peft_type} one, only LoRA's can be put under another head"
        raise ModelError.at(adapter, what, "leave out --bias")
    start = config.init_lora_weights
    if isinstance(start, str) and start not in _LEAVE_THE_BASE:
        what = f"its start '{start}' changes the base weights in PEFT, so that there is no base to compare with"
        raise ModelError.at(adapter, what, "save it as plain LoRA: `balora export`, or PEFT's own conversion")
    prefix = f"{_WRAPPED}{model.base_model_prefix}."
    weights = {
        key: value
        for key, value in load_peft_weights(str(adapter), device="cpu").items()
        if key.startswith(prefix) and _POOLER not in key
    }
    names = {key.removeprefix(_WRAPPED).partition(".lora_")[0] for key in weights if ".lora_" in key}
    absent = sorted(names - {name for name, _ in model.named_modules()})
    if absent or not names:
        what = f"the adapter trains {absent[0]}, which the model does not have" if absent else "it trains no encoder"
        raise ModelError.at(adapter, what, "name the model it was trained on")
    config.target_modules, config.modules_to_save, config.task_type = names, None, None
    config.init_lora_weights = True
    wrapped = peft.get_peft_model(model, config)
    try:
        result = peft.set_peft_model_state_dict(wrapped, weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError.at(
            adapter, f"does not fit the model ({reason})", "name the model it was trained on"
        ) from error
    if result.unexpected_keys:
        raise ModelError.at(adapter, f"{result.unexpected_keys[0]} fits nothing in the model", "leave out --bias")
    return wrapped
