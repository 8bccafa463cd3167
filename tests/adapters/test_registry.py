"""The method table."""

from __future__ import annotations

import pytest

from balora.adapters import METHODS, AdapterConfig, attach_adapter, find_method
from balora.errors import ModelError
from tests.support import tiny


@pytest.mark.parametrize("name", METHODS)
def test_every_row_attaches(name: str) -> None:
    assert find_method(name).name == name
    attach_adapter(tiny.build("llama"), AdapterConfig(method=name, r=2))


def test_a_typo_is_told_the_closest_method() -> None:
    with pytest.raises(ModelError, match=r"unknown method 'pisa'; did you mean 'pissa'\?"):
        find_method("pisa")
