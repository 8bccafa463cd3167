"""A model whose outputs are no numbers has no score: evaluation and audit stop, naming the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from balora.errors import DivergedError

LONGEST_SHOWN = 60
FIX = "use an earlier checkpoint, or check lora_alpha and the weights of the model"


def check_outputs(outputs: Tensor, named: Callable[[int], str], *, tokens: bool = False) -> None:
    """Stop at the first row with an output that is not finite.

    Args:
        outputs: logits or losses, (rows, ...).
        named: what a message calls the row of this number.
        tokens: they are logits of tokens, of which minus infinity forbids some.

    Raises:
        DivergedError: names the row, and what to do.

    >>> check_outputs(torch.tensor([[1.0, -torch.inf]]), str, tokens=True)
    """
    fine = outputs < torch.inf if tokens else torch.isfinite(outputs)
    bad = ~fine.reshape(len(fine), -1).all(dim=1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        many = f", and of {int(bad.sum()) - 1} more of {len(bad)}" if int(bad.sum()) > 1 else ""
        raise DivergedError(f"{named(row)}: the model's outputs are not finite (NaN or inf){many}; {FIX}")


def text_named(text: str) -> str:
    """What messages call a text."""
    line = " ".join(text.split())
    return repr(line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}...")


class FiniteLogits:
    """A processor of logits for `generate` that changes none and stops where they are no numbers.

    Args:
        tokenizer: writes out the text that a message names.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The same scores.

        Raises:
            DivergedError: names the text.
        """
        check_outputs(scores, lambda row: text_named(self._text(input_ids[row].tolist())), tokens=True)
        return scores

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
