"""Only a complete checkpoint is gone on from, and what is wrong with the others is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from balora.artefacts import list_checkpoints, newest_complete, step_of
from balora.artefacts.checkpoints import fault_of, is_whole_safetensors

WEIGHTS = "trainable.safetensors"


def write_checkpoint(run: Path, step: int) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"a": torch.ones(3, 2), "b": torch.zeros(5)}, folder / WEIGHTS, metadata={"format": "pt"})
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({"x": torch.ones(4)}, folder / name)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "trainer_state.json is missing": lambda folder: (folder / "trainer_state.json").unlink(),
    "trainer_state.json is damaged": lambda folder: cut(folder / "trainer_state.json"),
    "trainer_state.json is of another step": lambda f: (f / "trainer_state.json").write_text('{"global_step": 1}'),
    "trainable.safetensors is missing": lambda folder: (folder / WEIGHTS).unlink(),
    "trainable.safetensors is damaged": lambda folder: cut(folder / WEIGHTS),
    "optimizer.pt is missing": lambda folder: (folder / "optimizer.pt").unlink(),
    "optimizer.pt is damaged": lambda folder: cut(folder / "optimizer.pt"),
    "scheduler.pt is missing": lambda folder: (folder / "scheduler.pt").unlink(),
    "scheduler.pt is damaged": lambda folder: (folder / "scheduler.pt").write_bytes(b""),
    "rng_state.pth is missing": lambda folder: (folder / "rng_state.pth").unlink(),
    "rng_state.pth is damaged": lambda folder: cut(folder / "rng_state.pth"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_an_incomplete_checkpoint_is_passed_over_and_its_fault_named(fault: str, tmp_path: Path) -> None:
    good, bad = write_checkpoint(tmp_path, 9), write_checkpoint(tmp_path, 10)
    assert newest_complete(tmp_path, WEIGHTS) == (bad, [])
    DAMAGE[fault](bad)
    assert newest_complete(tmp_path, WEIGHTS) == (good, [f"checkpoint-10 is not complete ({fault})"])
    DAMAGE[fault](good) if "another step" not in fault else (good / WEIGHTS).unlink()
    assert newest_complete(tmp_path, WEIGHTS)[0] is None


def test_newest_means_the_highest_step(tmp_path: Path) -> None:
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-final"):
        (tmp_path / name).mkdir()
    assert [step_of(folder) for folder in list_checkpoints(tmp_path)] == [10, 9]


def test_a_safetensors_file_is_whole_at_exactly_its_length(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1) / WEIGHTS
    content = path.read_bytes()
    assert is_whole_safetensors(path)
    for wrong in (
        content[:-1],
        content + b"x",
        content[:6],
        content[:40],
        b"",
        b"\xff" * 64,
        b"\2" + 7 * b"\0" + b"[]",
    ):
        path.write_bytes(wrong)
        assert not is_whole_safetensors(path)


def test_the_shards_of_a_large_model_are_all_looked_at(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, 4)
    (folder / WEIGHTS).rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert fault_of(folder, "model.safetensors") == "model-2.safetensors is missing"
    save_file({"b": torch.zeros(5)}, folder / "model-2.safetensors")
    assert fault_of(folder, "model.safetensors") is None
