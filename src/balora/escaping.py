"""Text from data, models and errors, made harmless in Markdown and in code; it reads as it was written."""

from __future__ import annotations

import json
import re

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_BAR = re.compile(r"(\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r)")
"""Colours, one line up, erasing a line, showing the cursor: what bars are drawn with."""
_MARKUP = re.compile(r"([\\`*{}\[\]#|~$]|(?<![^\W_])_|_(?![^\W_]))")
"""What means something within a line; an underscore inside a word means nothing."""
_REFERENCED = re.compile(r"[<>@]|^:|:(?=\S)|(?i:(?<=www)\.)")
"""Tags, and what makes a link, a mention or a picture of bare words; written as references to characters."""
_NAMES = {"<": "&lt;", ">": "&gt;"}
_LIST_START = re.compile(r"^([-+=](?=[\s=-]|$)|\d+(?=[.)](?:\s|$)))")


def printable(text: str) -> str:
    r"""The text without characters that steer a terminal, turn the direction of writing, or break a file.

    >>> printable("a\x1b[31mb\u202ec")
    'a[31mbc'
    """
    return _CONTROL.sub("", text)


def visible(text: str) -> str:
    r"""The text for a terminal: what would steer it, or turn the direction of writing, is written out.

    Line breaks and tabs stay.

    >>> visible("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    return _CONTROL.sub(_written_out, text.replace("\r\n", "\n").replace("\r", "\\r"))


def without_commands(text: str) -> str:
    r"""The text of a library for a terminal: colours and the steps of a bar pass, all other commands are written out.

    >>> without_commands("\x1b[1mbold\x1b[0m \x1b[2J\x1b]0;title\x07")
    '\x1b[1mbold\x1b[0m \\x1b[2J\\x1b]0;title\\x07'
    """
    return "".join(
        part if number % 2 else _CONTROL.sub(_written_out, part) for number, part in enumerate(_BAR.split(text))
    )


def _written_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def markdown(text: str, longest: int | None = None) -> str:
    r"""As literal text on one line of Markdown, also inside a table; no markup, no HTML, no link by itself.

    Args:
        text: is cut where it has more than `longest` characters, and its length told.
        longest: left out, nothing is cut.

    >>> markdown("a|b <i>*c*")
    'a\\|b &lt;i&gt;\\*c\\*'
    """
    line = " ".join(printable(text).split())
    if longest is not None and len(line) > longest:
        line = f"{line[:longest]}... ({len(text)} characters)"
    safe = _MARKUP.sub(r"\\\1", line.replace("&", "&amp;"))
    safe = _LIST_START.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", safe)
    return _REFERENCED.sub(lambda found: _NAMES.get(found[0]) or f"&#{ord(found[0])};", safe)


def code_literal(text: str) -> str:
    r"""A string literal that Python and YAML read alike, on one line.

    >>> code_literal("a\nb\u2028")
    '"a\\nb\\u2028"'
    """
    written = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", written)
