"""Where balora keeps what it can compute again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder BALORA_CACHE names, else `~/.cache/balora`; it need not exist yet."""
    chosen = os.environ.get("BALORA_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "balora"
