"""Adapter settings: PEFT's names, and alpha that follows r."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balora.adapters import AdapterConfig


def test_alpha_follows_r_unless_it_is_set() -> None:
    assert AdapterConfig(r=16).scaling_alpha == 16
    assert AdapterConfig(lora_r=16, lora_alpha=32).scaling_alpha == 32  # type: ignore[call-arg]


def test_changes_are_validated() -> None:
    assert AdapterConfig(r=16).with_changes(method="lora").r == 16
    with pytest.raises(ValidationError):
        AdapterConfig().with_changes(r=0)
