"""Checkpoints that a library writes in a format of its own, with pickles inside: only where the user asked for them."""

from __future__ import annotations

from pathlib import Path

from balora.errors import ModelError
from balora.models.trust import PICKLE_VARIABLE, may_unpickle


def check_pickles_allowed(library: str | None, run: Path) -> None:
    """Refuse to write or read checkpoints with pickles, which can run code when they are opened.

    Args:
        library: DeepSpeed, or FSDP of the first kind; None where nothing of the kind is used.
        run: the run folder, which the user has to name.

    Raises:
        ModelError: nobody asked for them.
    """
    if library is None or may_unpickle(str(run)):
        return
    what = f"{library} writes checkpoints that contain pickles, which can run code when they are opened"
    instead = "use several processes as they are, or FSDP2 (training.fsdp: true, fsdp_config: {version: 2})"
    trusted = f"or, for files that only you can write, run with {PICKLE_VARIABLE}={run} in the environment"
    where = "training.deepspeed" if library == "DeepSpeed" else "training.fsdp_config"
    raise ModelError.at(where, what, f"{instead}; {trusted}")
