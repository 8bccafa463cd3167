"""The rows of the table, with the counts of the test suite and those of `make faults`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import (
    damage,
    endurance,
    fidelity,
    kills,
    not_finite,
    operations,
    reloads,
    repeats,
    room_on_disk,
    several,
    signals,
)
from tests.faults.figures import Figures
from tests.faults.selections import SELECTIONS


@dataclass(frozen=True)
class Row:
    run: Callable[[Path, int], Figures]
    small: int
    full: int
    is_selection: bool = False
    """Whether its cases are tests of the suite."""


COUNTS = {"R13": (1, 600), "R23": (2, 30)}
"""Rows of the suite's own tests that take a count: seconds for each reader, studies that are killed."""

ROWS: dict[str, Row] = {
    "R1": Row(kills.row, 3, 100),
    "R2": Row(operations.row_of_kills, 12, 10_000),
    "R3": Row(signals.row, 1, 20),
    "R4": Row(operations.row_of_power_cuts, 8, 50),
    "R5": Row(room_on_disk.row, 4, 60),
    "R6": Row(damage.row, 50, 500),
    "R7": Row(not_finite.row, 12, 96),
    "R7b": Row(several.row_of_spoiled, 24, 24),
    "R8": Row(repeats.row, 1, 20),
    "R9": Row(several.row_of_parity, 3, 24),
    "R10": Row(reloads.row, 9, 1000),
    "R11": Row(several.row_of_deaths, 1, 20),
    "R15": Row(fidelity.row, 12, 591),
    "R24": Row(endurance.row, 400, 10_000),
    **{each.row: Row(each.run, *COUNTS.get(each.row, (0, 1)), is_selection=True) for each in SELECTIONS},
}
ROWS = dict(sorted(ROWS.items(), key=lambda item: (len(item[0].rstrip("b")), item[0])))
