"""A base that only this run has: the quantized residual, as a checkpoint that transformers loads."""

from __future__ import annotations

import copy
from pathlib import Path

from huggingface_hub import save_torch_state_dict
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from balora.adapters.checkpoint_weights import plain_name
from balora.adapters.quantized_start import starts_at_residual

RESIDUAL_BASE = "residual_base"
"""The folder beside the adapter."""


def save_residual_base(model: PeftModel, folder: Path) -> Path | None:
    """Write the quantized residual that an adapter belongs to, and let the adapter's configuration name it.

    On the original weights, quantized or not, an adapter that started at the residual is another function. So the base
    is saved too, once per run: in its 4 or 8 bits, task head included.

    Args:
        model: adapted, started at the residual or not.
        folder: where the adapter is or will be saved.

    Returns:
        The folder written, `folder/residual_base`; None for a model whose base is an ordinary checkpoint.
    """
    if not starts_at_residual(model):
        return None
    target = (folder / RESIDUAL_BASE).absolute()
    base: PreTrainedModel = model.get_base_model()
    target.mkdir(parents=True, exist_ok=True)
    # transformers' own save_pretrained would write the names that PEFT gave to the wrapped layers.
    save_torch_state_dict(residual_state(base), target, metadata={"format": "pt"})
    config = copy.deepcopy(base.config)
    config.architectures = [type(base).__name__]
    config.save_pretrained(target)
    if base.can_generate() and base.generation_config is not None:
        base.generation_config.save_pretrained(target)
    for adapter in model.peft_config.values():
        adapter.base_model_name_or_path = str(target)
    return target


def residual_state(base: PreTrainedModel) -> dict[str, Tensor]:
    """The state of the model under the adapter, by the names that it had before PEFT wrapped it."""
    own = ("lora_", ".quantized_start.", ".anchor.", ".modules_to_save.")
    state = {plain_name(n): value for n, value in base.state_dict().items() if not any(part in n for part in own)}
    tied = [name for name, source in base.all_tied_weights_keys.items() if source in state]
    return {name: value for name, value in state.items() if name not in tied}
