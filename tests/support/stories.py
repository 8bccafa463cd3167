"""The real stories260K model as a transformers folder, for tests that want a model which can really write."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.convert_llama2c import convert

from tests.support.real import real_path


def stories_folder(tmp: pytest.TempPathFactory) -> Path:
    """The converted model, made once per session; skips the test where the real files are not there."""
    checkpoint = real_path("models/stories260K/checkpoint_legacy.bin")
    tokenizer = real_path("models/stories260K/tokenizer.bin")
    folder = tmp.getbasetemp() / "stories260K"
    if not folder.exists():
        convert(checkpoint, tokenizer, folder)
    return folder
