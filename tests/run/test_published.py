"""What a finished run hands out is compared with what it wrote; a change is told, and refuses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from balora.auditing import audit
from balora.models import fingerprint
from balora.run import evaluate, train
from balora.run.published import changed_files, published_files
from tests.run.test_training import recipe_for


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x10
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("published")
    recipe = recipe_for("classification", folder, training={"save_strategy": "steps", "save_steps": 2})
    return recipe, train(recipe, show_progress=False).folder


@pytest.fixture
def flipped(finished: Any) -> Any:
    """The run with one bit of its adapter turned; put back afterwards."""
    recipe, folder = finished
    weights = folder / "adapter_model.safetensors"
    before = weights.read_bytes()
    flip(weights)
    yield recipe, folder
    weights.write_bytes(before)


def said_by(result: Any) -> list[str]:
    return [note for note in result if "is not the file that the run wrote" in note]


def results_of(folder: Path, recipe: Any) -> list[Any]:
    """What evaluate, audit and a resume of the finished run say, in their results."""
    scored = evaluate(folder, data=recipe.data.validation, show_progress=False)
    audited = audit(folder, data=recipe.data.validation, only=["drift"], show_progress=False)
    resumed = train(recipe, resume=True, show_progress=False)
    documents = [json.loads(each.path.read_text())["notes"] for each in (*scored, audited) if each.path is not None]
    return [*documents, resumed.notes]


def test_a_run_that_nobody_touched_says_nothing(finished: Any) -> None:
    recipe, folder = finished
    record = json.loads((folder / "run.json").read_text())
    assert record["files"] == published_files(folder)
    assert set(record["files"]) == {"adapter_model.safetensors", "adapter_config.json"}
    assert changed_files(folder) == changed_files(folder / "checkpoint-4") == []
    assert [said_by(notes) for notes in results_of(folder, recipe)] == [[], [], []]


def test_a_flipped_bit_is_told_by_all_who_read_it(flipped: Any) -> None:
    recipe, folder = flipped
    told = [said_by(notes) for notes in results_of(folder, recipe)]
    assert [len(each) for each in told] == [1, 1, 1]
    assert "adapter_model.safetensors' is not the file" in told[0][0]


def test_a_checkpoint_is_compared_with_its_manifest(finished: Any) -> None:
    _, folder = finished
    flip(folder / "checkpoint-2" / "adapter_model.safetensors")
    assert len(changed_files(folder / "checkpoint-2")) == 1


def test_large_files_are_known_by_their_tensors(finished: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, folder = finished
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    for module in (fingerprint, __import__("balora.run.published", fromlist=["x"])):
        monkeypatch.setattr(module, "LARGE_BYTES", 100)
    files = published_files(folder)
    assert "tensors_sha256" in files["adapter_model.safetensors"]
    record = json.loads((folder / "run.json").read_text())
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "adapter_model.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes())
    (copy / "run.json").write_text(json.dumps(record | {"files": files}))
    assert changed_files(copy) == []
    flip(copy / "adapter_model.safetensors")
    assert len(changed_files(copy)) == 1


def test_folders_without_hashes_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    assert changed_files(tmp_path) == []
