"""A model knows how it was adapted, whatever wraps it."""

from __future__ import annotations

import copy

import pytest
import torch

from balora.adapters import AdapterConfig, attach_adapter, config_of
from tests.support import tiny


@pytest.mark.parametrize("method", ["pissa", "houlsby", "full"])
def test_the_configuration_is_found_again(method: str) -> None:
    config = AdapterConfig(method=method, r=2)
    model = attach_adapter(tiny.build("llama"), config)
    for found in (model, torch.nn.Sequential(model), copy.deepcopy(model)):
        assert config_of(found) == config
    assert config_of(tiny.build("llama")) is None
