"""Checkpoints with pickles are written and read only where the user names the run folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from balora.adapters import AdapterConfig
from balora.artefacts.manifest import write_manifest
from balora.errors import ModelError
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.pickled_checkpoints import check_pickles_allowed
from tests.support import rows, tiny


def trainer(folder: Path) -> BALoraTrainer:
    return BALoraTrainer(
        model=prepare_model(tiny.build("llama"), AdapterConfig(r=2)),
        args=rows.arguments(folder, save_strategy="steps", save_steps=2, max_steps=2),
        config=BALoraConfig.nlg(),
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )


def use(library: str, run: BALoraTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the trainer had been started under a library that is not installed, or needs a GPU."""
    if library == "DeepSpeed":
        run.is_deepspeed_enabled = True
    else:
        run.is_fsdp_enabled = True
        state = SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=1))
        monkeypatch.setattr(run.accelerator, "state", state)


@pytest.mark.parametrize(("library", "key"), [("DeepSpeed", "training.deepspeed"), ("FSDP1", "training.fsdp_config")])
def test_they_are_refused_before_training_starts(
    library: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path)
    use(library, run, monkeypatch)
    with pytest.raises(ModelError) as caught:
        run.prepare_checkpointing()
    (problem,) = caught.value.problems
    assert problem.where == key
    assert library in problem.what
    assert "FSDP2" in problem.fix
    assert f"BALORA_ALLOW_PICKLE={tmp_path}" in problem.fix
    with pytest.raises(ModelError):  # a signal asks for a checkpoint also where none was planned
        run._save_checkpoint(run.model, None)
    monkeypatch.setenv("BALORA_ALLOW_PICKLE", str(tmp_path / "other"))
    with pytest.raises(ModelError):
        run.prepare_checkpointing()
    monkeypatch.setenv("BALORA_ALLOW_PICKLE", str(tmp_path))
    run.prepare_checkpointing()


def test_one_that_is_there_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkpoint-2"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({}))
    (folder / "optimizer.bin").write_bytes(b"\x80\x04.")
    write_manifest(folder, step=2, resumable=True, processes=1, sharded=True)
    run = trainer(tmp_path)
    with pytest.raises(ModelError, match="contain pickles"):
        run.checkpoint_to_resume(True)
    monkeypatch.setenv("BALORA_ALLOW_PICKLE", str(tmp_path))
    assert run.checkpoint_to_resume(True) == folder


def test_plain_ones_need_no_leave(tmp_path: Path) -> None:
    check_pickles_allowed(None, tmp_path)
