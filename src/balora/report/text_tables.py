"""The tables as Markdown, CSV in long form, and LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from balora.escaping import markdown
from balora.redaction import redacted_lines
from balora.report.escaping import csv_text, latex
from balora.report.sentences import Sentence
from balora.report.views import TableView, view
from balora.study import StudyResults
from balora.study.cells import in_words
from balora.study.tables import Table, TableCell

CSV_NUMBERS = (
    "n",
    "mean",
    "sd",
    "low_95",
    "high_95",
    "pairs",
    "difference",
    "difference_low_95",
    "difference_high_95",
    "p",
    "p_holm",
    "d_z",
    "g_z",
    "cliffs_delta",
)


def as_markdown(mark: str, results: StudyResults, tables: Sequence[Table], sentences: Sequence[Sentence]) -> str:
    """Summary, tables, their tests, and the runs that failed."""
    lines = [f"<!-- {mark} -->", "", f"# {markdown(results.title or results.name)}", ""]
    lines += [markdown(results.description), ""] if results.description else []
    lines += [f"- {'**Note:** ' if s.tone == 'warning' else ''}{markdown(s.text)}" for s in sentences]
    for table in tables:
        shown = view(results, table)
        lines += ["", f"## {markdown(shown.title)}", "", *_markdown_table(shown), "", markdown(shown.legend)]
        lines += [line for note in shown.notes for line in ("", markdown(note))]
        if shown.tests:
            lines += ["", *_markdown_rows(shown.test_header, shown.tests)]
    failed = [run for run in results.runs if run.state == "failed"]
    if failed:
        lines += ["", "## Failed runs", ""]
        for run in failed:
            place = ", ".join(f"{axis} {level}" for axis, level in run.levels.items())
            error = redacted_lines(run.error or "no message was recorded")
            lines.append(f"- {markdown(f'{place}, seed {run.seed} ({run.stage})')}: {markdown(error)}")
    return "\n".join(lines) + "\n"


def _markdown_table(shown: TableView) -> list[str]:
    header = [shown.rows_axis, *(column.title for column in shown.columns)]
    rows = []
    for row in shown.rows:
        cells = []
        for cell in row.cells:
            number = f"{cell.mean} ± {cell.deviation}" if cell.deviation else cell.mean
            text = markdown(number) if cell.mean else f"— ({markdown(cell.gap)})"
            text = f"**{text}**" if cell.standing == "clear" else f"<u>{text}</u>" if cell.standing else text
            extra = [cell.mark, markdown(cell.interval), markdown(f"({cell.partial})") if cell.partial else ""]
            extra += [markdown(f"paper {entry.text}") for entry in cell.printed]
            cells.append(" ".join([text, *(each for each in extra if each)]))
        rows.append([markdown(row.name), *cells])
    titles = [markdown(title) for title in header]
    return [_row(titles), _row(["---", *["---:"] * (len(header) - 1)]), *(_row(cells) for cells in rows)]


def _markdown_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    safe = [[markdown(cell) for cell in row] for row in rows]
    return [_row([markdown(title) for title in header]), _row(["---"] * len(header)), *(_row(cells) for cells in safe)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_csv(results: StudyResults, tables: Sequence[Table]) -> str:
    """One line per cell; numbers in full, in the units of the tables; empty where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    axes = list(results.axes)
    front = ["table", "row", "column", *(f"axis.{axis}" for axis in axes), "metric", "better", "unit"]
    writer.writerow(
        [
            *map(csv_text, front),
            *CSV_NUMBERS,
            "test",
            "baseline",
            "verdict",
            "published",
            "published_sd",
            "source",
            "missing",
        ]
    )
    for table in tables:
        for (row, index), cell in table.cells.items():
            column = table.columns[index]
            metric = cell.measured.metric
            levels = [cell.measured.levels.get(axis, "") for axis in axes]
            texts = [table.title, row, column.title, *levels, metric.key, metric.direction, metric.unit]
            writer.writerow([*map(csv_text, texts), *_numbers(cell), *_remarks(table, cell)])
    return buffer.getvalue()


def _numbers(cell: TableCell) -> list[str]:
    summary, versus = cell.summary, cell.versus
    values: list[float | None] = [summary.n, summary.mean, summary.deviation, summary.low, summary.high]
    if versus is None:
        values += [None] * 9
    else:
        values += [len(versus.seeds), versus.difference, versus.low, versus.high, versus.p_value, cell.p_corrected]
        values += [versus.effect, versus.corrected_effect, versus.dominance]
    return ["" if value is None else repr(value) for value in values]


def _remarks(table: Table, cell: TableCell) -> list[str]:
    first = cell.published[0] if cell.published else None
    tested = cell.versus is not None
    texts = [table.test if tested else "", (table.baseline or "") if tested else "", cell.verdict]
    deviation = "" if first is None or first.deviation is None else repr(first.deviation)
    numbers = ["", ""] if first is None else [repr(first.value), deviation]
    notes = [in_words(cell.measured.missing), cell.versus.note if cell.versus else ""]
    return [
        *map(csv_text, texts),
        *numbers,
        csv_text("" if first is None else first.source),
        csv_text("; ".join(note for note in notes if note)),
    ]


def as_latex(mark: str, results: StudyResults, tables: Sequence[Table]) -> str:
    r"""One `table` environment each; the document needs `\usepackage{booktabs}`."""
    parts = [f"% {latex(mark)}", r"% \usepackage{booktabs}", r"% \usepackage[T1]{fontenc}"]
    for number, table in enumerate(tables, 1):
        shown = view(results, table)
        head = " & ".join(latex(title) for title in [shown.rows_axis, *(column.title for column in shown.columns)])
        parts += [
            "",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex(shown.title)}. {latex(shown.legend)}}}",
            rf"  \label{{tab:study-{number}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(shown.columns)}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
        ]
        for row in shown.rows:
            cells = [_latex_cell(cell.mean, cell.deviation, cell.standing, cell.mark) for cell in row.cells]
            parts.append(rf"    {' & '.join([latex(row.name), *cells])} \\")
            printed = [cell.printed[0].text if cell.printed else "" for cell in row.cells]
            if any(printed):
                paper = " & ".join(latex(text) for text in printed)
                parts.append(rf"    \quad published & {paper} \\")
        parts += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(parts) + "\n"


def _latex_cell(mean: str, deviation: str, standing: str, mark: str) -> str:
    if not mean:
        return "---"
    number = latex(f"{mean} ± {deviation}" if deviation else mean)
    number = rf"\textbf{{{number}}}" if standing == "clear" else rf"\underline{{{number}}}" if standing else number
    return f"{number} {latex(mark)}".rstrip()
