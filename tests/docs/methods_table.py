"""The table of docs/methods.md, written from the registry: `python -m tests.docs.methods_table` puts it in place."""

from __future__ import annotations

from pathlib import Path

from balora.adapters import METHODS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"


def table() -> str:
    """One row per method."""
    lines = ["| method | paper | trains | needs | cannot go with | computed by |", "|---|---|---|---|---|---|"]
    for method in METHODS.values():
        paper = f"[{method.paper}](https://arxiv.org/abs/{method.paper})" if method.paper else ""
        cells = [f"`{method.name}`", paper, method.trains, method.needs, method.not_with, method.computed_by]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page_with_table(page: str) -> str:
    """The page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
