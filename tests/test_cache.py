"""Where the cache lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.cache import cache_folder


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("value", ["", None])
def test_left_out_it_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BALORA_CACHE")
    if value is not None:
        monkeypatch.setenv("BALORA_CACHE", value)
    assert cache_folder() == tmp_path / ".cache" / "balora"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BALORA_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
