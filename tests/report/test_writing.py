"""Which files a report is, and what it never does to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.artefacts.files import Disk
from balora.errors import OutputError, RecipeError, ResourceError
from balora.report import FORMATS, write_report
from balora.study import StudyResults
from tests.support.studies import study


def made(folder: Path, **changes) -> StudyResults:
    return study(
        {"method": ["a", "b"]}, lambda _levels, seed: {"eval_accuracy": 0.5 + seed / 10}, folder=folder, **changes
    )


def test_all_formats_lie_in_the_study_s_folder(tmp_path: Path) -> None:
    report = write_report(made(tmp_path), FORMATS)
    assert [path.name for path in report.files] == ["report.html", "report.md", "report.csv", "report.tex"]
    assert all(path.is_file() for path in report.files)
    assert report.summary


@pytest.mark.parametrize(
    ("formats", "output", "names"),
    [
        (("md",), "table.txt", ["table.txt"]),
        (("md",), "table", ["table.md"]),
        (("md", "csv"), "table", ["table.md", "table.csv"]),
        (("md", "csv"), "table.html", ["table.md", "table.csv"]),
        (("md", "csv"), "v1.2", ["v1.2.md", "v1.2.csv"]),
    ],
)
def test_the_name_of_the_output(tmp_path: Path, formats, output: str, names: list[str]) -> None:
    report = write_report(made(tmp_path), formats, tmp_path / output)
    assert [path.name for path in report.files] == names


@pytest.mark.parametrize("kind", FORMATS)
def test_an_earlier_report_is_replaced(tmp_path: Path, kind) -> None:
    (path,) = write_report(made(tmp_path), (kind,)).files
    before = path.read_text()
    write_report(made(tmp_path, title="Another"), (kind,))
    assert (path.read_text() != before) == (kind != "csv" and kind != "latex")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, kind) -> None:
    path = tmp_path / "mine"
    path.with_suffix(".x").write_text("my notes")
    with pytest.raises(OutputError, match="nothing is ever overwritten"):
        write_report(made(tmp_path), (kind,), path.with_suffix(".x"))
    assert path.with_suffix(".x").read_text() == "my notes"


def test_nothing_is_written_when_one_of_several_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("my,table\n")
    with pytest.raises(OutputError):
        write_report(made(tmp_path), FORMATS)
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        write_report(made(tmp_path), ("md",), tmp_path / "no" / "x.md")


def test_a_wrong_layout_writes_nothing(tmp_path: Path) -> None:
    for changes in ({"tables": ({"rows": "x"},)}, {"figures": ({"kind": "x"},)}):
        with pytest.raises(RecipeError):
            write_report(made(tmp_path, **changes), FORMATS)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_with_its_own_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Disk, "write", write)
    with pytest.raises(ResourceError, match=r"report\.md could not be written: No space.*MiB are free.*--output"):
        write_report(made(tmp_path), ("md",))
