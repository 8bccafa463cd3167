"""Which folders a study may be carried out in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from balora.errors import OutputError
from balora.study import Study, parse_study
from balora.study import folder as study_folder
from balora.study.folder import check_folder, open_folder
from tests.study.conftest import MakeStudy


@pytest.fixture
def study(study_text: MakeStudy) -> Study:
    return parse_study(study_text())


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_launch_killed_while_it_made_its_folder_goes_on(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R23: killed before each file operation of the start in turn, the same command is taken every time."""
    made, left = Path.mkdir, 0

    def mkdir(path: Path, *args: Any, **options: Any) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        made(path, *args, **options)

    def write(path: Path, text: str) -> None:
        (path.parent / f".{path.name}.partial-0123abcd").write_text(text[:10])
        raise Killed

    for point in range(6):
        folder = tmp_path / f"killed-{point}"
        left = point
        with monkeypatch.context() as patched:
            patched.setattr(Path, "mkdir", mkdir)
            patched.setattr(study_folder, "write_text_atomically", write)
            with pytest.raises(Killed):
                open_folder(folder, study)
        check_folder(folder, study)
        open_folder(folder, study)
        check_folder(folder, study)


@pytest.mark.parametrize("name", ["thesis.txt", "runs/thesis.txt", "study.yaml"])
def test_what_is_somebodys_own_is_refused(study: Study, tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("years of work")
    with pytest.raises(OutputError, match="no study"):
        check_folder(tmp_path / "mine", study)
