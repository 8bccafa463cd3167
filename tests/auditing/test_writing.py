from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure

from balora.artefacts.files import Disk
from balora.auditing.writing import write_report
from balora.errors import ResourceError


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_a_disk_that_takes_no_report_is_told_and_nothing_half_is_left(
    whole: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    real = Disk.write

    def write(disk: Disk, path: Path, content: bytes) -> None:
        if len(written) == whole:
            raise OSError(28, "No space left on device")
        written.append(path)
        real(disk, path, content)

    monkeypatch.setattr(Disk, "write", write)
    report: Any = SimpleNamespace(as_json=dict)
    with pytest.raises(ResourceError, match=r"the report could not be written: No space.*MiB are free.*--output"):
        write_report(report, {"a": Figure(), "b": Figure()}, tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert write_report(report, {"a": Figure()}, tmp_path)[0] == tmp_path / "audit.json"
