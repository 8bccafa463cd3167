"""The rows of the reliability table with small counts, and that a broken build fails them.

`make faults` runs the full counts; docs/reliability.md holds what they found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.broken import BREAKAGES
from tests.faults.rows import ROWS

QUICK = ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]
"""The others start processes of their own and are marked slow, or are tests of the suite themselves."""
QUICK_BREAKAGES = [name for name, breakage in BREAKAGES.items() if breakage.rows[0] in {"R2", "R4", "R6"}]


def check(row: str, folder: Path) -> None:
    figures = ROWS[row].run(folder, ROWS[row].small)
    assert figures.all_held, "\n".join([figures.as_line(), *figures.failures])


@pytest.mark.parametrize("row", QUICK)
def test_the_row_holds(row: str, tmp_path: Path) -> None:
    check(row, tmp_path / row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if name not in QUICK and not row.is_selection])
def test_the_row_of_further_processes_holds(row: str, tmp_path: Path) -> None:
    check(row, tmp_path / row)


def check_noticed(name: str, folder: Path) -> None:
    breakage = BREAKAGES[name]
    row = breakage.rows[0]
    with breakage.applied():
        figures = ROWS[row].run(folder, ROWS[row].small)
    assert figures.failures, f"{row} did not notice that {name}"


@pytest.mark.parametrize("name", QUICK_BREAKAGES)
def test_a_broken_build_fails_its_row(name: str, tmp_path: Path) -> None:
    check_noticed(name, tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BREAKAGES if name not in QUICK_BREAKAGES])
def test_a_broken_build_fails_its_slower_row(name: str, tmp_path: Path) -> None:
    check_noticed(name, tmp_path / "broken")
