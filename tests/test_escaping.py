"""Markdown and code: text stays text, as a browser sees it and as two parsers read it."""

from __future__ import annotations

import ast

import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from balora.escaping import code_literal, markdown, printable, visible, without_commands
from tests.support.payloads import PAYLOADS, on_one_line, seen


def test_there_are_many() -> None:
    assert len(set(PAYLOADS)) >= 120


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_line_of_markdown_shows_the_text(payload: str) -> None:
    """As a browser sees it."""
    text = markdown(payload)
    assert "\n" not in text
    page = seen(f"Before {text} after")
    assert page.tags == {"p"}
    assert " ".join(page.text.split()) == " ".join(f"Before {on_one_line(payload)} after".split())


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_markdown_shows_text_as_text(payload: str) -> None:
    """As GitHub's dialect reads it: one paragraph of one text, as it was."""
    reader = MarkdownIt("gfm-like", {"linkify": False})
    for block in (markdown(payload), f"- {markdown(payload)}", f"| a |\n|---|\n| {markdown(payload)} |"):
        tokens = reader.parse(block)
        inline = [token for token in tokens if token.type == "inline"][-1]
        assert {child.type for child in inline.children} <= {"text", "text_special"}
        assert "".join(child.content for child in inline.children) == on_one_line(payload)
        assert not [
            t
            for t in tokens
            if t.type in {"heading_open", "fence", "html_block", "ordered_list_open", "hr", "blockquote_open"}
        ]


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if "\ud800" not in payload])
def test_a_literal_is_the_same_in_python_and_yaml(payload: str) -> None:
    literal = code_literal(payload)
    assert len(literal.splitlines()) == 1
    assert ast.literal_eval(literal) == payload
    assert YAML(typ="safe", pure=True).load(f"a: {literal}")["a"] == payload


def test_a_long_text_is_cut_and_its_length_told() -> None:
    assert markdown("x" * 5000, 2000) == "x" * 2000 + "... (5000 characters)"
    assert markdown("x" * 2000, 2000) == "x" * 2000


@pytest.mark.parametrize(
    "text", ["www.evil.example", "_www.evil.example", "WWW.evil.example", "http://evil.example", "a@b.example"]
)
def test_nothing_becomes_a_link_by_itself(text: str) -> None:
    """GitHub and the hub make links of bare addresses; an entity inside prevents it."""
    assert "&#" in markdown(text)


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\x9b", "\u200f", "\u202e", "\u2066", "\ud800", "\uffff"])
def test_what_cannot_be_seen_goes(letter: str) -> None:
    assert printable(f"a{letter}b\tc\n") == "ab\tc\n"


def test_what_only_some_readers_take_for_markup_is_escaped_too() -> None:
    assert markdown("> {{a}} $b$") == r"&gt; \{\{a\}\} \$b\$"


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_terminal_sees_no_command_and_loses_nothing(payload: str) -> None:
    shown = visible(payload)
    assert printable(shown) == shown
    assert "\r" not in shown
    assert visible(shown) == shown
    assert set(printable(payload).replace("\r", "")) <= set(shown)


def test_a_bar_is_drawn_and_a_title_is_not_set() -> None:
    bar = "\r\x1b[2K\x1b[32m 5/10\x1b[0m\x1b[1A\x1b[?25h"
    assert without_commands(bar) == bar
    for command in ("\x1b[2J", "\x1b]0;owned\x07", "\x1bP", "\x9b2J", "\x1b[6n", "\x1bc", "\b"):
        assert not {"\x1b", "\x07", "\x9b", "\b"} & set(without_commands(command))
