"""What each process has to itself: random numbers, the place in the epoch, and what has not been logged yet."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from balora.artefacts.plain_state import load_plain, save_plain
from balora.strict_json import read_json

PREFIX = "process-"


def save_process_state(folder: Path, process: int, state: dict[str, Any]) -> None:
    """Write `process-<n>.json` and `.safetensors` into a staged folder."""
    save_plain(folder, f"{PREFIX}{process}", state)


def load_process_state(folder: Path, process: int) -> dict[str, Any]:
    """What `save_process_state` wrote."""
    state: dict[str, Any] = load_plain(folder, f"{PREFIX}{process}")
    return state


def evaluation_left(checkpoint: Path) -> bool:
    """Whether the step of a checkpoint is still to be evaluated: a signal came during that."""
    path = checkpoint / f"{PREFIX}0.json"
    return path.exists() and read_json(path).get("evaluation") is not None


def random_state(device: torch.device, *, every_device: bool) -> dict[str, Any]:
    """The state of every random generator that a step may draw from.

    Args:
        device: where the process trains.
        every_device: whether it trains on all devices that it sees.
    """
    kind, numpy_state = random.getstate()[0], np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    bits = numpy_state["state"]
    state: dict[str, Any] = {
        "python": {"version": kind, "words": list(random.getstate()[1]), "gauss": random.getstate()[2]},
        "numpy": {
            "words": torch.from_numpy(bits["key"].astype(np.int64)),
            "position": int(bits["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "cpu": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state_all() if every_device else [torch.cuda.get_rng_state(device)]
    elif device.type != "cpu":
        state[device.type] = torch.get_device_module(device).get_rng_state()
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put every generator back; those of devices that are not there any more are left out."""
    python, numbers = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    words = numbers["words"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, numbers["position"], numbers["has_gauss"], numbers["gauss"]))
    torch.set_rng_state(state["cpu"])
    kept = state.get(device.type)
    if device.type == "cuda" and kept:
        if len(kept) == 1:
            torch.cuda.set_rng_state(kept[0], device)
        elif len(kept) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(kept)
    elif device.type != "cpu" and kept is not None:
        torch.get_device_module(device).set_rng_state(kept)
