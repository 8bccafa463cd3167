"""One of several processes that a launcher (torchrun, accelerate launch) started with the same command."""

from __future__ import annotations

import os


def speaks() -> bool:
    """Whether this process is the first on its machine, which says what all of them find."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def tells_results() -> bool:
    """Whether this process is the first of all, which alone prints results."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"
