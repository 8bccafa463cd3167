"""The demonstration's runs as a table of plain text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from balora.demo.bench import Run
from balora.lab import LabScores


@dataclass(frozen=True, slots=True)
class Column:
    """One measured quantity of a run."""

    title: str
    better: Literal["higher", "lower"]
    of: Callable[[LabScores], float]
    """The quantity as it is shown."""

    def loss(self, scores: LabScores) -> float:
        """The quantity turned so that less is better; of a gap, its distance from none."""
        value = self.of(scores)
        return -value if self.better == "higher" else abs(value)


COLUMNS = (
    Column("task accuracy", "higher", lambda scores: scores.task_accuracy),
    Column("rare cities", "higher", lambda scores: scores.minority_recall),
    Column("facts retained", "higher", lambda scores: scores.facts_retained),
    Column("wrong labels memorised", "lower", lambda scores: scores.wrong_labels_memorised),
    Column("stereotype gap", "lower", lambda scores: scores.stereotype_gap),
    Column("held-out loss", "lower", lambda scores: scores.heldout_loss),
)


def runs_of(runs: Sequence[Run], method: str, learning_rate: float) -> list[Run]:
    """The runs of one line of the table, by seed."""
    found = [run for run in runs if run.method == method and run.learning_rate == learning_rate]
    return sorted(found, key=lambda run: run.seed)


def best_learning_rates(runs: Sequence[Run]) -> dict[str, float]:
    """Method -> the rate with the best mean accuracy on the validation splits; of equals, the lower."""
    best: dict[str, float] = {}
    for method in dict.fromkeys(run.method for run in runs):
        rates = sorted({run.learning_rate for run in runs if run.method == method})
        best[method] = max(
            rates,
            key=lambda rate: statistics.fmean(run.validation_accuracy for run in runs_of(runs, method, rate)),
        )
    return best


def mean_and_spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and sample standard deviation; `-` when nothing was counted, no spread for a single value.

    >>> mean_and_spread([0.5, 0.7]), mean_and_spread([0.5]), mean_and_spread([float("nan")])
    ('0.60 ± 0.14', '0.50', '-')
    """
    counted = [value for value in values if not math.isnan(value)]
    if not counted:
        return "-"
    mean = f"{statistics.fmean(counted):.{digits}f}"
    return f"{mean} ± {statistics.stdev(counted):.{digits}f}" if len(counted) > 1 else mean


def table(runs: Sequence[Run], base_scores: Sequence[LabScores], chosen: Mapping[str, float]) -> str:
    """One line for the base model and one per method and learning rate, columns aligned.

    A star marks the learning rate that a method's validation accuracy chose.
    """
    titles = ["", "learning rate", *(column.title for column in COLUMNS), "time s", "peak MiB"]
    rows = [["base model", "", *(mean_and_spread([c.of(s) for s in base_scores]) for c in COLUMNS), "", ""]]
    for method in chosen:
        for rate in sorted({run.learning_rate for run in runs if run.method == method}):
            of_line = runs_of(runs, method, rate)
            scores = [mean_and_spread([column.of(run.scores) for run in of_line]) for column in COLUMNS]
            costs = [
                mean_and_spread([run.train_s for run in of_line], digits=1),
                mean_and_spread([run.peak_mib for run in of_line], digits=0),
            ]
            star = " *" if rate == chosen[method] else "  "
            rows.append([method, f"{rate:g}{star}", *scores, *costs])
    return "\n".join(aligned([titles, *rows]))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns below each other, the first to the left, the others to the right; titles wrap at spaces.

    >>> aligned([["", "time s"], ["LoRA", "1.25"]])
    ['      time', '         s', 'LoRA  1.25']
    """
    titles = [title.split(" ") for title in rows[0]]
    height = max(len(words) for words in titles)
    head = [[([""] * (height - len(words)) + words)[line] for words in titles] for line in range(height)]
    lines = [*head, *rows[1:]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(row))
        for row in ([*zip(line, widths, strict=True)] for line in lines)
    ]
