"""Checkpoints of a run: which there are, which of them are whole, and which may go."""

from __future__ import annotations

import logging
from pathlib import Path

from balora.artefacts.files import LEFTOVER, leftovers, move, remove_leftover, take_away
from balora.artefacts.layout import CHECKPOINT_PREFIX
from balora.artefacts.manifest import fault_in, read_manifest
from balora.artefacts.trouble import disk_trouble

STATE_OF_TRAINER = "trainer_state.json"
FEWEST = 2
"""How many checkpoints stay, whatever the limit: one may turn out to be damaged."""


def list_checkpoints(path: Path) -> list[Path]:
    """The folders checkpoint-N of a run, the newest first."""
    names = [(folder, folder.name.removeprefix(CHECKPOINT_PREFIX)) for folder in path.glob(f"{CHECKPOINT_PREFIX}*")]
    # Digits of other scripts and raised ones are digits to Python, and no numbers or not ours.
    found = [folder for folder, step in names if step.isascii() and step.isdigit() and folder.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written.

    >>> step_of(Path("runs/r/checkpoint-30"))
    30
    """
    return int(checkpoint.name.removeprefix(CHECKPOINT_PREFIX))


def newest_complete(path: Path, weights: str | None = None) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that a run can go on from, and why newer ones cannot be used.

    Args:
        path: the run folder.
        weights: the file in a checkpoint that holds what was trained, where it is known.

    Returns:
        The checkpoint, or None where none is complete; one line for each that was passed over.
    """
    skipped: list[str] = []
    for checkpoint in list_checkpoints(path):
        fault = fault_of(checkpoint, weights)
        if fault is None:
            return checkpoint, skipped
        skipped.append(f"{checkpoint.name} is not complete ({fault})")
    return None, skipped


def set_aside(checkpoint: Path) -> Path:
    """Rename a checkpoint that cannot be used, so that nobody takes it for the newest one; gives its new path."""
    target, number = checkpoint.with_name(f"damaged-{checkpoint.name}"), 2
    while target.exists():
        target, number = checkpoint.with_name(f"damaged-{checkpoint.name}-{number}"), number + 1
    move(checkpoint, target)
    return target


def fault_of(checkpoint: Path, weights: str | None = None) -> str | None:
    """What is missing or damaged in a checkpoint; None where a run can go on from it.

    Every byte is compared with the hashes in its manifest; nothing is unpickled.
    """
    fault = fault_in(checkpoint)
    manifest = read_manifest(checkpoint)
    if fault is not None or manifest is None:
        return fault
    if manifest.step != step_of(checkpoint):
        return f"its files are of step {manifest.step}"
    if not manifest.resumable:
        return "it holds the model alone, without optimizer and random state"
    if STATE_OF_TRAINER not in manifest.files:
        return f"{STATE_OF_TRAINER} is missing"
    names = {weights, f"{weights}.index.json"}
    if weights is not None and not manifest.sharded and not names & manifest.files.keys():
        return f"{weights} is missing"
    return None


def remove_old(path: Path, *, limit: int | None, newest: Path, best: Path | None = None) -> list[Path]:
    """Remove the oldest checkpoints above a limit; called once the newest one is known to be good.

    The newest one, the best one and at least `FEWEST` stay. What a manifest already gives away as damaged is not
    counted as kept.

    Args:
        path: the run folder.
        limit: how many may stay; None for all.
        newest: the one that was just written and read back.
        best: the one with the best score.

    Returns:
        What was removed.

    Raises:
        ResourceError: an old one could not be removed; the newest one is whole.
    """
    if limit is None or limit <= 0:
        return []
    protected = {newest, *([] if best is None else [best])}
    older = [folder for folder in list_checkpoints(path) if folder not in protected]
    whole = [folder for folder in older if fault_in(folder, thoroughly=False) is None]
    spare = max(limit, FEWEST) - len({folder for folder in protected if folder.is_dir()})
    doomed = whole[max(spare, 0) :]
    for folder in doomed:
        try:
            take_away(folder)
        except OSError as error:
            trouble = disk_trouble(error, path, what=folder.name, last_good=newest.name, done="removed")
            raise (trouble or error) from error
    return doomed


def tidy(path: Path) -> None:
    """Clear what a killed process left half done in a run folder; what it was about to replace comes back."""
    for entry in leftovers(path):
        matched = LEFTOVER.fullmatch(entry.name)
        assert matched is not None
        final = path / matched["name"]
        displaced = matched["kind"] == "removed" and entry.is_dir() and not final.exists()
        if displaced and fault_in(entry) is None:
            move(entry, final)
            continue
        logging.getLogger("balora").info("removing '%s', left by a process that was killed", entry)
        remove_leftover(entry)
