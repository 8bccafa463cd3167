"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings

import pytest
import torch

import balora

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(balora.__path__, "balora.") if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = doctest.testmod(module, extraglobs={"torch": torch}, optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0
