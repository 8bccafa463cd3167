"""Words for bits that are not offered are answered with the one that is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from balora.models import ModelSettings


@pytest.mark.parametrize("word", ["int4", "torchao_int4", "4bit", "FP4"])
def test_four_bits_are_called_nf4(word: str) -> None:
    with pytest.raises(ValidationError, match="for 4 bits write nf4"):
        ModelSettings(name_or_path="m", quantization=word)  # type: ignore[arg-type]
    assert ModelSettings(name_or_path="m", quantization="nf4").quantization == "nf4"
