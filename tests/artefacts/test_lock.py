"""A run folder belongs to one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.artefacts import sole_use
from balora.errors import OutputError


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    with sole_use(tmp_path), pytest.raises(OutputError, match="another process is training"), sole_use(tmp_path):
        pass
    with sole_use(tmp_path):
        assert list(tmp_path.iterdir()) == []
