"""A report as a table for the terminal: base, tuned, difference with its interval, and what that says."""

from __future__ import annotations

import math
import os
import shutil
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from balora.auditing import AuditReport, Score
from balora.escaping import visible
from balora.evaluation.intervals import Estimate

NARROWEST = 100


def printed(report: AuditReport) -> str:
    """The table as text, coloured where stdout is a terminal."""
    width = max(shutil.get_terminal_size((120, 24)).columns, NARROWEST)
    colour = sys.__stdout__ is not None and sys.__stdout__.isatty() and "NO_COLOR" not in os.environ
    console = Console(width=width, force_terminal=colour, no_color=not colour, highlight=False, file=None, record=False)
    with console.capture() as capture:
        console.print(visible(report.compared), soft_wrap=True, markup=False)
        for source, where in report.rows.items():
            console.print(visible(f"{source}: {where}"), soft_wrap=True, markup=False)
        console.print(_table(report))
        if report.path is not None:
            console.print(visible(f"written to {report.path}"), soft_wrap=True, markup=False)
        if report.figures:
            pictures = f"{len(report.figures)} figures in {report.figures[0].parent}"
            console.print(visible(pictures), soft_wrap=True, markup=False)
    return capture.get()


def _table(report: AuditReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 1))
    table.add_column("")
    for name in ("base", "tuned"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("difference, or interval (95 %)", justify="left", no_wrap=True)
    table.add_column("what it says")
    for name, part in report.parts.items():
        shown = [score for score in part.scores if score.shown]
        if not shown:
            continue
        table.add_row(Text(name.upper(), style="bold"), end_section=False)
        for score in shown:
            table.add_row(*_cells(score))
    return table


def _cells(score: Score) -> tuple[Text, ...]:
    measure = score.measure
    base = "" if score.base is None else measure.shown(score.base.value)
    sure = score.difference or score.tuned
    signed = score.difference is not None
    shown = measure.shown(sure.value, signed=True) if signed else ""
    unit = f" [{measure.unit}]" if measure.unit and measure.unit != "share" else ""
    return (
        Text(visible(f"  {score.title}{unit}")),
        Text(base),
        Text(measure.shown(score.tuned.value)),
        Text(f"{shown} {_interval(score, sure, signed=signed)}".strip()),
        Text(visible(score.verdict), style=_style(score)),
    )


def _interval(score: Score, sure: Estimate, *, signed: bool) -> str:
    if math.isnan(sure.low):
        return ""
    low, high = (score.measure.shown(each, signed=signed) for each in (sure.low, sure.high))
    return f"({low} … {high})".replace(" %", "")


def _style(score: Score) -> str:
    """Green and red where the rows can tell that it got better or worse."""
    found, better = score.difference, score.measure.better
    if found is None or better == "neither" or math.isnan(found.low) or found.low <= 0 <= found.high:
        return ""
    return "green" if (found.value > 0) == (better == "higher") else "red"
