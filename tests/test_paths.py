"""A path is what the user wrote, or an error of ours; never one of Python's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.errors import InputError
from balora.paths import user_path


def test_home_is_written_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a") == tmp_path / "a"
    assert user_path(Path("b/~")) == Path("b/~")
    assert user_path("x" * 255) == Path("x" * 255)


@pytest.mark.parametrize("name", ["~nobodyxyz/a", "a\0b", "x" * 256, "ö" * 128, "xy/" * 2000, "\ud800"])
def test_what_can_be_no_path_is_told(name: str) -> None:
    with pytest.raises(InputError) as caught:
        user_path(name)
    assert len(str(caught.value)) < 250


@given(st.text(max_size=300) | st.text("~/.a\0", max_size=50))
def test_nothing_else_is_raised_by_asking_for_it(name: str) -> None:
    with suppress(InputError):
        user_path(name).exists()
