"""Tiny models as folders on disk, the way users name them in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import tiny


def save_tiny(folder: Path, family: str, head: str = "causal_lm", **changes: Any) -> Path:
    """A tiny pretrained model with the character tokenizer in a folder; gives its path."""
    model = tiny.build(family, head, **changes)
    model.save_pretrained(folder)
    tiny.character_tokenizer().save_pretrained(folder)
    return folder


def save_tiny_body(folder: Path, family: str, **changes: Any) -> Path:
    """The same without a task head, as encoders come from the hub."""
    model = tiny.build(family, "sequence_classification", **changes)
    model.base_model.save_pretrained(folder)
    tiny.character_tokenizer().save_pretrained(folder)
    return folder
