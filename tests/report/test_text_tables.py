"""Markdown, CSV and LaTeX: the same numbers, and text that stays text."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from balora.report.escaping import csv_text, latex
from balora.report.sentences import Sentence
from balora.report.text_tables import as_csv, as_latex, as_markdown
from balora.study import StudyResults
from balora.study.tables import build_tables
from tests.support.payloads import PAYLOADS
from tests.support.studies import noisy, study, with_run

MEANS = {"LoRA": 0.80, "BA_LoRA 50%": 0.90}


def made() -> StudyResults:
    entry = {
        "levels": {"method": "BA_LoRA 50%", "task": "a"},
        "metric": "eval_accuracy",
        "value": 91.5,
        "source": "a paper",
    }
    results = study(
        {"method": list(MEANS), "task": ["a", "b"]}, noisy(MEANS, 0.003), baseline="LoRA", published=(entry,)
    )
    return with_run(results, 2, {"method": "LoRA", "task": "b"}, state="failed", scores={}, error="it | broke")


def rows_of(results: StudyResults) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(results, build_tables(results)))))


def test_csv_has_a_line_per_cell_with_every_number_in_full() -> None:
    results = made()
    (table,) = build_tables(results)
    rows = rows_of(results)
    assert len(rows) == len(table.cells) == 6
    row = next(row for row in rows if row["axis.method"].startswith("BA") and row["column"] == "a")
    cell = table.cells["BA_LoRA 50%", 0]
    assert float(row["mean"]) == cell.summary.mean
    assert float(row["p"]) == cell.versus.p_value
    assert float(row["p_holm"]) == cell.p_corrected
    assert float(row["difference_low_95"]) == cell.versus.low
    assert (row["n"], row["pairs"], row["published"], row["verdict"]) == ("3", "3", "91.5", cell.verdict)
    partial = next(row for row in rows if row["axis.method"] == "LoRA" and row["column"] == "b")
    assert (partial["n"], partial["missing"], partial["p"]) == ("2", "seed 2 failed", "")


def test_csv_cells_never_begin_a_formula() -> None:
    axes = {"method": [*PAYLOADS, "-1", "plain"]}
    for row in csv.reader(
        io.StringIO(as_csv(results := study(axes, lambda *_: {"eval_accuracy": 0.5}), build_tables(results)))
    ):
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")) or cell.isdecimal()
            assert not cell.startswith("-") or float(cell) < 0


@pytest.mark.parametrize("text", ["=1", " =1", "+a", "-a", "@a", "\t=1", "|x", "＝1"])
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_text(text).startswith("'")


def test_markdown_holds_summary_tables_tests_and_failures() -> None:
    results = made()
    text = as_markdown("mark", results, build_tables(results), [Sentence("So it is.", "warning")])
    assert "- **Note:** So it is." in text
    assert "| BA_LoRA 50% | " in text
    assert "paper 91.50" in text
    assert "it \\| broke" in text
    assert MarkdownIt("gfm-like", {"linkify": False}).render(text).count("<table>") == 2


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_latex_has_no_live_command(payload: str) -> None:
    """Only the commands of our own table of letters, and braces in balance."""
    text = latex(payload)
    known = [
        "textbackslash",
        "textasciicircum",
        "textasciitilde",
        "textless",
        "textgreater",
        "textbar",
        "textquotedbl",
        "textasciigrave",
        "pm",
        "uparrow",
        "downarrow",
        "circ",
    ]
    for name in known:
        text = text.replace(f"\\{name}{{}}", "").replace(f"$\\{name}$", "")
    text = text.replace("$-$", "")
    for letter in "{}$&#%_":
        text = text.replace(f"\\{letter}", "")
    text = text.replace("{[}", "").replace("{]}", "").replace("{*}", "")
    assert not set(text) & set('\\{}$&#%_^~<>|[]*"`')


def test_latex_is_a_booktabs_table() -> None:
    results = made()
    text = as_latex("mark", results, build_tables(results))
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert {line.count("&") for line in body.splitlines() if "&" in line} == {3}
    assert r"BA\_LoRA 50\%" in text
    assert r"\quad published & 91.50" in text


def test_a_clear_winner_is_bold_everywhere() -> None:
    results = study(
        {"method": ["a", "b"]},
        lambda levels, seed: {
            "eval_accuracy": 0.1 * seed + 0.5 * (levels["method"] == "b") + 0.001 * seed**2 * (levels["method"] == "b")
        },
    )
    tables = build_tables(replace(results, seeds=(0, 1, 2)))
    assert "**" in as_markdown("mark", results, tables, [])
    assert r"\textbf{" in as_latex("mark", results, tables)
