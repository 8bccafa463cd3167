"""Load failures become one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.models.failures import explain_load_failure


@pytest.mark.parametrize(
    ("name", "raised", "said"),
    [
        ("meta/llama", "Cannot access gated repo for url ...", "is gated or private; accept its licence"),
        ("meta/llama", "401 Client Error", "is gated or private"),
        ("meta/llama", "couldn't connect to the hub", "the hub cannot be reached; give a local folder"),
        ("meta/llama", "does not appear to have a file named config.json\nand more", "config.json; check the hub id"),
    ],
)
def test_known_failures(name: str, raised: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    line = str(explain_load_failure("model.name_or_path", name, OSError(raised)))
    assert line.startswith("model.name_or_path: 'meta/llama'")
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("raised", [RuntimeError("can't start new thread"), OSError(12, "Cannot allocate memory")])
def test_where_memory_ran_out_nothing_is_said_against_the_model(raised: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(raised), match=r"thread|memory"):
        explain_load_failure("model.name_or_path", str(tmp_path), raised)
