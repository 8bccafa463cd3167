"""A fingerprint tells one base from another by any of its numbers, and by nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from balora.models import ModelSettings, differences, fingerprint, fingerprint_of
from balora.models.fingerprint import BaseFingerprint
from tests.support import tiny
from tests.support.folders import save_tiny


def of(folder: Path) -> BaseFingerprint:
    found = fingerprint_of(ModelSettings(name_or_path=str(folder)))
    assert found is not None
    return found


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "base", "llama")


def test_the_same_model_elsewhere_is_the_same(base: Path, tmp_path: Path) -> None:
    before = of(base).as_document()
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    assert differences(before, of(moved)) == []
    assert differences(json.loads(json.dumps(before)), of(moved)) == []


def test_how_it_was_saved_does_not_count(base: Path, tmp_path: Path) -> None:
    before = of(base).as_document()
    model = tiny.build("llama")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20kB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    assert differences(before, of(tmp_path / "shards")) == []
    tensors = load_file(base / "model.safetensors")
    save_file(dict(reversed(tensors.items())), base / "model.safetensors", metadata={"format": "pt", "by": "another"})
    assert differences(before, of(base)) == []


@pytest.mark.parametrize("place", [0, -1])
def test_a_single_bit_counts(base: Path, place: int) -> None:
    before = of(base).as_document()
    tensors = load_file(base / "model.safetensors")
    tensors["model.embed_tokens.weight"].view(torch.int32).view(-1)[place] ^= 1
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    (said,) = differences(before, of(base))
    assert said.startswith("SHA-256 of the weights ")
    assert before["weights_sha256"][:12] in said
    assert of(base).weights_sha256[:12] in said


def test_a_name_a_shape_and_a_format_count(base: Path) -> None:
    first = of(base).weights_sha256
    found = {first}
    tensors = load_file(base / "model.safetensors")
    key = "model.norm.weight"
    for changed_to in (
        {**{k: v for k, v in tensors.items() if k != key}, "model.normal.weight": tensors[key]},
        {**tensors, key: tensors[key].reshape(2, -1)},
        {**tensors, key: tensors[key].view(torch.int32)},
    ):
        save_file(changed_to, base / "model.safetensors", metadata={"format": "pt"})
        found.add(of(base).weights_sha256)
    assert len(found) == 4


def test_a_field_of_the_configuration_is_named_with_both_values(base: Path) -> None:
    before = of(base).as_document()
    path = base / "config.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "rms_norm_eps": 0.5, "architectures": ["Other"], "_name_or_path": "x"}))
    assert differences(before, of(base)) == [f"rms_norm_eps {document['rms_norm_eps']} then, 0.5 now"]


def test_a_default_that_is_spelled_out_is_no_difference(base: Path) -> None:
    before = of(base).as_document()
    path = base / "config.json"
    document = json.loads(path.read_text())
    assert document.pop("attention_bias") is False
    path.write_text(json.dumps(document))
    assert differences(before, of(base)) == []
    path.write_text(json.dumps({**document, "attention_bias": True}))
    before = of(base).as_document()
    path.write_text(json.dumps(document))
    assert differences(before, of(base)) == ["attention_bias True then, False now"]


def test_a_model_that_is_not_here_has_none() -> None:
    assert fingerprint_of(ModelSettings(name_or_path="some/model")) is None


def test_large_files_are_hashed_once_and_again_when_touched(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "LARGE_BYTES", 1)
    hashed: list[Path] = []
    original = fingerprint._hashed
    monkeypatch.setattr(fingerprint, "_hashed", lambda file: (hashed.append(file), original(file))[1])
    first = of(base)
    assert of(base) == first
    assert len(hashed) == 1
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    assert of(base).weights_sha256 != first.weights_sha256
    assert len(hashed) == 2


def test_a_damaged_answer_is_not_believed(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "LARGE_BYTES", 1)
    first = of(base)
    entries = list((fingerprint.cache_folder() / "fingerprints").glob("*.json"))
    assert len(entries) == 1
    for text in ("{", "[]", '{"a": 1}', "{}"):
        entries[0].write_text(text)
        assert of(base) == first
