"""Padding: a reserved token first, then unknown, then end of text."""

from __future__ import annotations

import pytest

from balora.errors import ModelError
from balora.models.tokenizer import ensure_padding
from tests.support import tiny


def without_padding(**keep: str | None) -> object:
    tokenizer = tiny.character_tokenizer()
    tokenizer.pad_token = None
    for name, value in keep.items():
        setattr(tokenizer, name, value)
    return tokenizer


def test_a_tokenizer_with_padding_is_left_alone() -> None:
    tokenizer = tiny.character_tokenizer()
    ensure_padding(tokenizer, "tiny")
    assert tokenizer.pad_token == "<pad>"


def test_a_reserved_token_is_found() -> None:
    tokenizer = without_padding()
    ensure_padding(tokenizer, "tiny")  # type: ignore[arg-type]
    assert tokenizer.pad_token == "<pad>"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("keep", "expected"), [({}, "<unk>"), ({"unk_token": None}, "</s>")])
def test_else_unknown_else_the_end(keep: dict[str, None], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.models.tokenizer.PAD_CANDIDATES", ())
    tokenizer = without_padding(**keep)
    ensure_padding(tokenizer, "tiny")  # type: ignore[arg-type]
    assert tokenizer.pad_token == expected  # type: ignore[attr-defined]


def test_nothing_to_pad_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.models.tokenizer.PAD_CANDIDATES", ())
    tokenizer = without_padding(unk_token=None, eos_token=None)
    with pytest.raises(ModelError, match="'tiny' has no padding"):
        ensure_padding(tokenizer, "tiny")  # type: ignore[arg-type]
