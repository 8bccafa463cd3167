"""What an adapted model remembers of how it was adapted, for the trainer that gets nothing else."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from balora.adapters.settings import AdapterConfig

_KEY = "_balora_adapter_config"
AnyModel = TypeVar("AnyModel", bound=nn.Module)


def remember_config(model: AnyModel, config: AdapterConfig) -> AnyModel:
    """Note on the model how it was adapted; gives the model."""
    vars(model)[_KEY] = config
    return model


def config_of(model: nn.Module) -> AdapterConfig | None:
    """How a model was adapted by `attach_adapter`; None for any other. Wrappers for several devices are looked into."""
    for module in model.modules():
        found = vars(module).get(_KEY)
        if isinstance(found, AdapterConfig):
            return found
    return None
