"""Where a run is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from balora.settings import Settings


class OutputSettings(Settings):
    """The run folder."""

    aliases: ClassVar[Mapping[str, str]] = {"output_dir": "dir"}

    dir: Path | None = None
    """The run folder; it must not exist yet, or be empty. Left out: runs/<recipe name>."""
