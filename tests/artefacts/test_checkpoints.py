"""Only a whole checkpoint is gone on from, what is wrong with the others is said, and enough of them stay."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from balora.artefacts import checkpoints, list_checkpoints, newest_complete, step_of, tidy
from balora.artefacts.checkpoints import fault_of, remove_old
from balora.artefacts.files import begin_staged, hidden_beside
from balora.artefacts.manifest import write_manifest
from balora.errors import ResourceError

WEIGHTS = "trainable.safetensors"


def write_checkpoint(run: Path, step: int, *, resumable: bool = True) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"a": torch.ones(3, 2), "b": torch.zeros(5)}, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / "optimizer.json").write_text("{}")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    write_manifest(folder, step=step, resumable=resumable)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 16
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "trainer_state.json is missing": lambda folder: (folder / "trainer_state.json").unlink(),
    "trainer_state.json is damaged: its content": lambda folder: flip(folder / "trainer_state.json"),
    "trainable.safetensors is missing": lambda folder: (folder / WEIGHTS).unlink(),
    "trainable.safetensors is damaged: 98 bytes instead": lambda folder: (folder / WEIGHTS).write_bytes(b"x" * 98),
    "trainable.safetensors is damaged: its content": lambda folder: flip(folder / WEIGHTS),
    "manifest.json is missing": lambda folder: (folder / "manifest.json").unlink(),
    "manifest.json is damaged": lambda folder: flip(folder / "manifest.json"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_its_fault_named(fault: str, tmp_path: Path) -> None:
    good, bad = write_checkpoint(tmp_path, 9), write_checkpoint(tmp_path, 10)
    assert newest_complete(tmp_path, WEIGHTS) == (bad, [])
    DAMAGE[fault](bad)
    found, skipped = newest_complete(tmp_path, WEIGHTS)
    assert found == good
    assert skipped[0].startswith(f"checkpoint-10 is not complete ({fault}")
    DAMAGE[fault](good)
    assert newest_complete(tmp_path, WEIGHTS)[0] is None


def test_what_is_whole_but_not_a_state_to_go_on_from_is_passed_over(tmp_path: Path) -> None:
    alone = write_checkpoint(tmp_path, 3, resumable=False)
    assert fault_of(alone) == "it holds the model alone, without optimizer and random state"
    moved = shutil.copytree(write_checkpoint(tmp_path, 4), tmp_path / "checkpoint-40")
    assert fault_of(moved) == "its files are of step 4"
    assert fault_of(tmp_path / "checkpoint-4", "model.safetensors") == "model.safetensors is missing"


def test_newest_means_the_highest_step(tmp_path: Path) -> None:
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-final"):
        (tmp_path / name).mkdir()
    assert [step_of(folder) for folder in list_checkpoints(tmp_path)] == [10, 9]


@pytest.mark.parametrize(
    ("limit", "best", "left"), [(None, None, [1, 2, 3, 4]), (1, None, [3, 4]), (3, None, [2, 3, 4]), (2, 1, [1, 4])]
)
def test_the_newest_the_best_and_never_fewer_than_two_stay(
    limit: int | None, best: int | None, left: list[int], tmp_path: Path
) -> None:
    folders = {step: write_checkpoint(tmp_path, step) for step in (1, 2, 3, 4)}
    remove_old(tmp_path, limit=limit, newest=folders[4], best=folders.get(best or 0))
    assert [step_of(folder) for folder in list_checkpoints(tmp_path)] == sorted(left, reverse=True)


def test_a_damaged_checkpoint_is_not_counted_among_those_that_stay(tmp_path: Path) -> None:
    folders = {step: write_checkpoint(tmp_path, step) for step in (1, 2, 3)}
    cut(folders[2] / WEIGHTS)
    assert remove_old(tmp_path, limit=2, newest=folders[3]) == []


def test_a_removal_that_fails_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {step: write_checkpoint(tmp_path, step) for step in (1, 2, 3)}

    def refuse(folder: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(checkpoints, "take_away", refuse)
    with pytest.raises(ResourceError) as caught:
        remove_old(tmp_path, limit=2, newest=folders[3])
    assert f"'{tmp_path}': checkpoint-1 could not be removed: Read-only file system" in str(caught.value)
    assert "checkpoint-3 is whole; make it writable again, then run the same command with --resume" in str(caught.value)


def test_what_a_killed_process_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    kept = write_checkpoint(tmp_path, 2)
    half = begin_staged(tmp_path / "checkpoint-3")
    (half / "optimizer.json").write_text("{")
    (tmp_path / ".run.json.partial-0a1b2c3d").write_text("{")
    strangers = [tmp_path / name for name in (".hidden", ".x.partial-xyz", "notes.partial-0a1b2c3d")]
    for stranger in strangers:
        stranger.mkdir()
    (tmp_path / ".link.partial-00000000").symlink_to(kept)
    tidy(tmp_path)
    assert not half.exists()
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {kept.name, ".link.partial-00000000", *(stranger.name for stranger in strangers)}


def test_a_checkpoint_that_was_about_to_be_replaced_comes_back(tmp_path: Path) -> None:
    whole, other = write_checkpoint(tmp_path, 2), write_checkpoint(tmp_path, 3)
    cut(other / WEIGHTS)
    for folder in (whole, other):
        folder.rename(hidden_beside(folder, "removed"))
    tidy(tmp_path)
    assert newest_complete(tmp_path, WEIGHTS) == (whole, [])
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-2"]
