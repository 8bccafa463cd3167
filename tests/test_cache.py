"""Where the cache lies, and that nobody finds half an entry."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from balora.cache import cache_folder, computed_by_one, count_use, staged_file, staged_folder, uses


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


def test_uses_are_counted_by_kind() -> None:
    before = uses().get("a kind of test", (0, 0))
    count_use("a kind of test", found=True)
    count_use("a kind of test", found=False)
    count_use("a kind of test", found=True)
    assert uses()["a kind of test"] == (before[0] + 2, before[1] + 1)


def test_the_second_waits_for_what_the_first_computes(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with computed_by_one(tmp_path / "entry"):
            order.append("second")

    with computed_by_one(tmp_path / "entry"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_where_nothing_can_be_locked_everybody_computes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with computed_by_one(tmp_path / "file" / "entry"):
        pass


def is_whole(folder: Path) -> bool:
    return (folder / "record").is_file()


def fill(folder: Path, content: str) -> None:
    (folder / "content").write_text(content)
    (folder / "record").write_text("")


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "entry"
    with staged_file(path) as beside:
        beside.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    with suppress(KeyboardInterrupt), staged_file(path) as beside:
        beside.write_text("other")
        raise KeyboardInterrupt
    assert (path.read_text(), list(path.parent.iterdir())) == ("half", [path])


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    home = tmp_path / "new" / "entry"
    with suppress(KeyboardInterrupt), staged_folder(home, is_whole) as staged:
        fill(staged, "a")
        raise KeyboardInterrupt
    assert list(home.parent.iterdir()) == []
    with staged_folder(home, is_whole) as staged:
        fill(staged, "a")
        assert not home.exists()
    assert (home / "content").read_text() == "a"
    assert list(home.parent.iterdir()) == [home]
    assert home.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["half", "empty", "file"])
def test_what_is_no_whole_entry_is_replaced(kind: str, tmp_path: Path) -> None:
    home = tmp_path / "entry"
    if kind == "file":
        home.write_text("in the way")
    else:
        home.mkdir()
    if kind == "half":
        (home / "content").write_text("old")
    with staged_folder(home, is_whole) as staged:
        fill(staged, "new")
    assert (home / "content").read_text() == "new"


def test_whoever_is_second_leaves_the_first_one_s_entry(tmp_path: Path) -> None:
    home = tmp_path / "entry"
    with staged_folder(home, is_whole) as slow:
        with staged_folder(home, is_whole) as fast:
            fill(fast, "first")
        fill(slow, "second")
    assert (home / "content").read_text() == "first"
    assert list(tmp_path.iterdir()) == [home]


def test_a_folder_that_cannot_take_its_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="Permission denied"), staged_folder(tmp_path / "entry", is_whole) as staged:
        fill(staged, "a")
    assert list(tmp_path.iterdir()) == []
