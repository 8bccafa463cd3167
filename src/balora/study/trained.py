"""The trained part of a run, apart from what is measured of it: other measurements begin there, not with training."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.artefacts import write_json_atomically
from balora.strict_json import read_json
from balora.study.store import OUTCOME

TRAINED = "trained.json"
"""In a run folder, once training is over and before anything is measured."""
EVALUATIONS = "evaluations"
"""Results and texts of suites; each file names what it was asked, so those that still fit are used again."""
_OF_MEASURES = (OUTCOME, "audit.json", "audit-figures")
"""What belongs to the measurements of one run and is no part of another."""


def note_trained(folder: Path, training: str, scores: Mapping[str, float]) -> None:
    """Write down that training is over.

    Args:
        folder: the run folder.
        training: the content address of the training alone: recipe, data and base model.
        scores: those of the validation and the test split.
    """
    document = {"training": training, "scores": dict(scores), "weights": _weights(folder)}
    write_json_atomically(folder / TRAINED, document)


def read_trained(folder: Path, training: str) -> dict[str, float] | None:
    """The scores of a training that is over and whose weights are all there; None where it is not."""
    found = _read(folder / TRAINED)
    try:
        if found["training"] != training or found["weights"] != _weights(folder):
            return None
        return {name: float(value) for name, value in found["scores"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def adopt_trained(folder: Path, training: str) -> dict[str, float] | None:
    """Begin a run from a run beside it with the same training and other measurements; gives the training's scores.

    The copy gets its name only when it is whole, and the other run stays as it is. A finished run without measurements
    of its own counts too where it was written before trainings were noted: its address is that of its training.
    """
    for other in sorted(folder.parent.iterdir()) if folder.parent.is_dir() else ():
        if other.name.startswith(".") or other == folder or not other.is_dir():
            continue
        scores = read_trained(other, training)
        if scores is None and other.name == training and not (other / TRAINED).exists():
            scores = _scores_of_outcome(other, training)
        if scores is not None:
            _copy(other, folder)
            note_trained(folder, training, scores)
            return scores
    return None


def _copy(source: Path, target: Path) -> None:
    left_out = [*_OF_MEASURES] if (source / OUTCOME).is_file() else [*_OF_MEASURES, EVALUATIONS]
    staged = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for path in source.iterdir():
            if path.name in left_out:
                continue
            if path.is_dir():
                shutil.copytree(path, staged / path.name, symlinks=True)
            else:
                shutil.copy2(path, staged / path.name, follow_symlinks=False)
        staged.chmod(0o755)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _scores_of_outcome(folder: Path, identity: str) -> dict[str, float] | None:
    found = _read(folder / OUTCOME)
    try:
        return None if found["identity"] != identity else {name: float(each) for name, each in found["scores"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _weights(folder: Path) -> dict[str, int]:
    """Name and size of the weight files at the top of a run folder."""
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.safetensors"))}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
