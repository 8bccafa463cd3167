"""Text from data, models and errors, made harmless in LaTeX, in CSV and in links; it reads as it was written."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from balora.escaping import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "\u2212": "$-$",
    "—": "---",
    "▲": r"$\uparrow$",
    "▼": r"$\downarrow$",
    "○": r"$\circ$",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "|", "%", "＝", "＋", "－", "＠")


def latex(text: str) -> str:
    r"""As literal text of LaTeX, also at the start of a table row.

    >>> latex("50% of a_b [x]")
    '50\\% of a\\_b {[}x{]}'
    """
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(printable(text).split()))


def csv_text(text: str) -> str:
    """As a cell that no spreadsheet takes for a formula; plain numbers stay as they are.

    >>> csv_text("=1+1"), csv_text("-1"), csv_text("LoRA")
    ("'=1+1", '-1', 'LoRA')
    """
    line = printable(text)
    if not line.lstrip().startswith(_FORMULA_STARTS):
        return line if not line.startswith(("\t", "\r", "\n")) else f"'{line}"
    try:
        float(line)
    except ValueError:
        return f"'{line}"
    return line


def relative_link(target: Path, page_folder: Path) -> str:
    """A link from a page in one folder to a file in another; whatever the names hold, it is a path.

    >>> relative_link(Path("/a/runs/x y/run.json"), Path("/a"))
    './runs/x%20y/run.json'
    """
    start, end = page_folder.resolve(), target.resolve()
    shared = 0
    for one, other in zip(start.parts, end.parts, strict=False):
        if one != other:
            break
        shared += 1
    parts = [".."] * (len(start.parts) - shared) + list(end.parts[shared:])
    return "./" + "/".join(quote(part.encode("utf-8", "surrogateescape"), safe="") for part in parts)
