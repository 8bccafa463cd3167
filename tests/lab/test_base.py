"""The cached base model: complete or absent, verified on every use, rebuilt when damaged."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from balora.cache import cache_folder
from balora.errors import OutputError, ResourceError
from balora.lab import PretrainingSettings, World, WorldSettings, base, base_model, build_world
from balora.lab.base import LEFTOVER_AGE_S, RECORD_NAME, read_record


def weights(folder: Path) -> dict[str, torch.Tensor]:
    # Copies: the tensors of a loaded model are windows on the file that a test then damages.
    return {name: tensor.clone() for name, tensor in AutoModelForCausalLM.from_pretrained(folder).state_dict().items()}


def no_step(*_: object) -> None:
    raise AssertionError("pre-trained again")


def test_built_once_then_taken_from_the_cache(world: World, tiny: PretrainingSettings) -> None:
    steps: list[int] = []
    built = base_model(world, tiny, on_step=lambda done, *_: steps.append(done))
    assert not built.from_cache
    assert steps == list(range(1, tiny.steps + 1))
    assert built.folder.parent == cache_folder() / "lab"
    again = base_model(world, tiny, on_step=no_step)
    assert again.from_cache
    assert again.folder == built.folder
    assert again.pretraining_s == built.pretraining_s > 0


def test_it_is_an_ordinary_transformers_folder(world: World, tiny: PretrainingSettings) -> None:
    folder = base_model(world, tiny).folder
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.model_type == "llama"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    text = tokenizer(f"where does {world.people[0]} live ?", return_tensors="pt")
    assert model.generate(**text, max_new_tokens=3, do_sample=False).shape[0] == 1


def test_another_world_or_pretraining_is_another_model(world: World, tiny: PretrainingSettings) -> None:
    other_world = build_world(WorldSettings(**{**world.settings.model_dump(), "seed": 1}))
    folders = {
        base_model(world, tiny).folder,
        base_model(other_world, tiny).folder,
        base_model(world, tiny.model_copy(update={"steps": 5})).folder,
    }
    assert len(folders) == 3


def damage_cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def damage_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_record(folder: Path) -> None:
    (folder / RECORD_NAME).write_text("{}")


def damage_no_json(folder: Path) -> None:
    (folder / RECORD_NAME).write_text("not json")


def lose_record(folder: Path) -> None:
    (folder / RECORD_NAME).unlink()


def lose_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def add_file(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def become_empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        damage_cut,
        damage_bit,
        damage_record,
        damage_no_json,
        lose_record,
        lose_tokenizer,
        add_file,
        become_a_file,
        become_empty,
    ],
)
def test_a_damaged_model_is_made_anew(world: World, tiny: PretrainingSettings, damage: Callable[[Path], None]) -> None:
    folder = base_model(world, tiny).folder
    before = weights(folder)
    damage(folder)
    repaired = base_model(world, tiny)
    assert not repaired.from_cache
    assert repaired.folder == folder
    after = weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert base_model(world, tiny, on_step=no_step).from_cache


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_pretraining_leaves_nothing(
    world: World, tiny: PretrainingSettings, tmp_path: Path, stop: type[BaseException]
) -> None:
    def interrupt(done: int, *_: object) -> None:
        if done == 3:
            raise stop

    with pytest.raises(stop):
        base_model(world, tiny, cache=tmp_path, on_step=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_what_the_caller_s_own_report_raises_is_not_taken_for_a_disk_fault(
    world: World, tiny: PretrainingSettings, tmp_path: Path
) -> None:
    def broken_pipe(*_: object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        base_model(world, tiny, cache=tmp_path, on_step=broken_pipe)


def test_another_process_that_was_faster_is_respected(world: World, tiny: PretrainingSettings, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def overtake(done: int, *_: object) -> None:
        if done == 1:
            base_model(world, tiny, cache=cache)

    built = base_model(world, tiny, cache=cache, on_step=overtake)
    assert read_record(built.folder) is not None
    assert [path.name for path in cache.iterdir()] == [built.folder.name]


def test_old_leftovers_of_killed_processes_are_swept_and_young_ones_kept(
    world: World, tiny: PretrainingSettings, tmp_path: Path
) -> None:
    old, young = tmp_path / ".abc-old", tmp_path / ".abc-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
    long_ago = time.time() - LEFTOVER_AGE_S - 60
    os.utime(old, (long_ago, long_ago))
    folder = base_model(world, tiny, cache=tmp_path).folder
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".abc-young", folder.name])


def test_a_cache_that_cannot_be_written_is_named(world: World, tiny: PretrainingSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/lab: the cache cannot be written .*; set BALORA_CACHE"):
        base_model(world, tiny, cache=tmp_path / "file" / "lab", on_step=no_step)


def test_a_full_disk_is_said(
    world: World, tiny: PretrainingSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(base, "_write_record", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        base_model(world, tiny, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_the_cache(world: World, tiny: PretrainingSettings) -> None:
    folder = base_model(world, tiny).folder
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
