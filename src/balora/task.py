"""The three kinds of fine-tuning task, named once."""

from __future__ import annotations

from typing import Literal

Task = Literal["classification", "regression", "generation"]
"""What the model learns to output: a class, a number, or text."""

IGNORED_LABEL = -100
"""A label that no loss counts: padding and prompt tokens."""
