"""The rows of the reliability table with small counts, and that a broken build fails them.

`make faults` runs the full counts; docs/reliability.md holds what they found.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.broken import BREAKAGES
from tests.faults.edits import EDITS
from tests.faults.figures import Figures
from tests.faults.rows import ROWS
from tests.faults.selections import SELECTIONS, Selection, counted

QUICK = ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]
"""The others start processes of their own and are marked slow, or are tests of the suite themselves."""
QUICK_BREAKAGES = [name for name, breakage in BREAKAGES.items() if breakage.rows[0] in {"R2", "R4", "R6"}]


REPORT = """<testsuites><testsuite>
<testcase classname="tests.x.test_walls" name="a"/>
<testcase classname="tests.x.test_walls" name="b"><failure message="it leaked"/></testcase>
<testcase classname="tests.x.test_pages" name="c"><skipped message="no browser here"/></testcase>
<testcase classname="tests.x.test_pages" name="d"><error message="no fixture"/></testcase>
</testsuite></testsuites>"""


def test_what_was_not_run_has_not_held(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    figures = counted(Figures("R0", ""), tmp_path / "report.xml")
    assert (figures.cases, figures.held) == (4, 1)
    assert figures.failures == ["b: it leaked", "c: not run: no browser here", "d: no fixture"]
    assert figures.facts == {"walls_cases": 2, "pages_cases": 2}


def test_a_row_without_a_report_or_with_too_few_cases_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not counted(Figures("R0", ""), tmp_path / "nothing.xml").all_held

    def ran(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        report = next(word for word in command if word.startswith("--junitxml=")).partition("=")[2]
        Path(report).write_text('<testsuites><testcase classname="test_x" name="a"/></testsuites>')
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", ran)
    figures = Selection("R0", "", ("tests",), 2).run(tmp_path / "few", 1)
    assert (figures.cases, figures.held) == (2, 1)
    assert figures.failures == ["1 cases, and 2 are promised"]


@pytest.mark.parametrize("name", EDITS)
def test_every_broken_build_can_be_made(name: str) -> None:
    """The line that it changes is there."""
    assert EDITS[name][1].text()


def test_every_row_of_the_table_is_there() -> None:
    assert [name for name in ROWS if name != "R7b"] == [f"R{number}" for number in range(1, 27)]
    noticing = {row for breakage in BREAKAGES.values() for row in breakage.rows}
    assert noticing == set(ROWS), "each row has a broken build to notice"
    assert {each.row for each in SELECTIONS} == {name for name, row in ROWS.items() if row.is_selection}


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda selection: selection.row)
def test_every_selected_test_is_there(selection: Selection) -> None:
    for name in selection.tests:
        path, _, test = name.partition("::")
        assert (Path(__file__).parents[2] / path).exists(), name
        assert f"def {test.partition('[')[0]}" in (Path(__file__).parents[2] / path).read_text() if test else True, name


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
