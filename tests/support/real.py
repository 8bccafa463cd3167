"""Where the real data and models lie, for tests that want them; such tests say plainly when they skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def data_root() -> Path:
    """BALORA_DATA, else the folder `shared` beside the checkout."""
    return Path(os.environ.get("BALORA_DATA") or Path(__file__).resolve().parents[3] / "shared")


def real_path(relative: str) -> Path:
    """A real file or folder; skips the test, naming what is missing, where it is not there."""
    path = data_root() / relative
    if not path.exists():
        pytest.skip(f"needs {relative} under {data_root()} (set BALORA_DATA)")
    return path
