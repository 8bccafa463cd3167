"""Results on stdout, the rest on stderr, one line each."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import pytest

from balora.cli import output


def test_json_has_no_word_for_nan(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"a": [float("nan"), 1.5, (float("inf"),)], "b": Path("x"), "ü": True})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": [None, 1.5, [None]], "b": "x", "ü": True}
    assert "ü" in text


def test_an_error_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error("first\n  second [red]not markup[/red] " + "x" * 300)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: first second [red]not markup[/red] {'x' * 300}\n"


EVIL = "\x1b[2J\x1b]0;owned\x07one\u202e"


def test_words_of_others_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = r"\x1b[2J\x1b]0;owned\x07one\u202e"
    output.print_result(EVIL)
    output.print_error(EVIL)
    output.print_notes([EVIL])
    output.print_message(EVIL)
    with output.no_secrets_shown():
        sys.stderr.write(f"{EVIL}\n")
    captured = capsys.readouterr()
    assert captured.out == f"{shown}\n"
    assert captured.err == f"error: {shown}\nnote: {shown}\n{shown}\n{shown}\n"


def test_json_for_a_terminal_is_the_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"a": EVIL + "\x9b\x7f"})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": EVIL + "\x9b\x7f"}
    assert not {"\x1b", "\x07", "\u202e", "\x9b", "\x7f"} & set(text)


def test_notes_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_notes(["a", "b", "a"])
    assert capsys.readouterr().err == "note: a\nnote: b\n"


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    output.print_error("x")
    assert "\x1b[" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    output.print_error("x")
    assert "\x1b[3" not in capsys.readouterr().err


def test_chatter_is_moved_out_of_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    with output.chatter_to_stderr():
        sys.stdout.write("noise\n")
        warnings.warn("old name", FutureWarning, stacklevel=1)
    output.print_result("result")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("result\n", "noise\n")


def test_two_columns_line_up() -> None:
    assert output.two_columns([("a", "1"), ("long", "2"), ("b", "")], indent=" ") == " a     1\n long  2\n b"
    assert output.two_columns([]) == ""


def test_download_bars_stay_as_the_user_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "x")
    monkeypatch.delenv("HF_DATASETS_DISABLE_PROGRESS_BARS")
    output.quiet_libraries(quiet=True)
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "0"
    assert os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] == "1"
