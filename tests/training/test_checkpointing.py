"""Checkpoints of the trainer: complete, plain, and enough to go on from bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.adapters import AdapterConfig
from balora.artefacts import list_checkpoints, step_of
from balora.artefacts.files import begin_staged
from balora.artefacts.manifest import MANIFEST, fault_in
from balora.errors import DivergedError, ModelError, OutputError
from balora.losses import TERMS
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from balora.training.finite import first_not_finite
from tests.support import rows, tiny

EVERY_TERM: dict[str, Any] = {
    "consistency_weight": 0.5,
    "diversity_weight": 0.3,
    "spectral_weight": 0.2,
    **{f"{term}_schedule": "constant" for term in TERMS},
}
SAVING = {"save_strategy": "steps", "save_steps": 4, "max_steps": 10}


def language(folder: Path, *, settings: Any = None, adapter: Any = None, **changes: Any) -> BALoraTrainer:
    args = rows.arguments(folder, **{**SAVING, **changes})
    transformers.set_seed(0)
    base = tiny.build("llama", attention_dropout=0.2)
    return BALoraTrainer(
        model=prepare_model(base, AdapterConfig(**{"r": 4, "dropout": 0.1, **(adapter or {})})),
        args=args,
        config=BALoraConfig(form="nlg", **{**EVERY_TERM, **(settings or {})}),
        train_dataset=rows.language_rows(),
        data_collator=rows.collator("generation"),
    )


def numbers(run: BALoraTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in run.model.named_parameters() if p.requires_grad}


def log_lines(run: BALoraTrainer) -> list[dict[str, Any]]:
    clocks = ("seconds", "runtime", "per_second")
    lines = [log for log in run.state.log_history if "train_runtime" not in log]
    return [{key: value for key, value in line.items() if not key.endswith(clocks)} for line in lines]


CASES: dict[str, dict[str, Any]] = {
    "live": {},
    "cached states": {"settings": {"teacher": "cached"}},
    "a sampled share": {"settings": {"teacher_fraction": 0.5}},
    "a share by schedule": {"settings": {"teacher_fraction": "schedule", "consistency_schedule": "cosine"}},
    "accumulation": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3},
    "between log lines": {"logging_steps": 3},
    "grouped by length": {"train_sampling_strategy": "group_by_length"},
    "grouped by length, accumulated": {
        "train_sampling_strategy": "group_by_length",
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
    },
    "sequential": {"train_sampling_strategy": "sequential"},
    "padding free": {"settings": {"padding_free": True}},
    "adalora": {"adapter": {"method": "adalora", "dropout": 0.0}},
    "another optimizer": {"optim": "adafactor", "lr_scheduler_type": "cosine", "warmup_steps": 2},
    "plateau": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3, "optim": "sgd"},
}


def test_the_spectral_iteration_starts_where_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large matrices warm-start from the step before; here all count as large."""
    monkeypatch.setattr("balora.losses.gram.DENSE_SIDE", 2)
    monkeypatch.setattr("balora.losses.gram.EXTRA_DIRECTIONS", 1)
    whole, again = (language(tmp_path / name, settings={"spectral_k": 2}) for name in ("whole", "again"))
    whole.train()
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert whole.fused is not None
    assert whole.fused.memory.directions is not None
    assert log_lines(again) == log_lines(whole)


@pytest.mark.filterwarnings("ignore::balora.training.BaloraWarning")
@pytest.mark.parametrize("case", CASES)
def test_resumed_equals_uninterrupted_bit_for_bit(case: str, tmp_path: Path) -> None:
    """Dropout on; epochs have 6 steps, so that 4 is in the first and 8 in the second, neither on a log line of 3."""
    settings = CASES[case]
    whole = language(tmp_path / "whole", **settings)
    whole.train()
    for step in (4, 8):
        again = language(tmp_path / f"from-{step}", **settings)
        transformers.set_seed(1234)
        again.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        for name, value in numbers(whole).items():
            assert torch.equal(numbers(again)[name], value), name
        assert log_lines(again) == log_lines(whole)


def test_no_pickle_is_written_and_no_token(tmp_path: Path) -> None:
    run = language(tmp_path, hub_token="hf_" + "x" * 30)
    run.train()
    run.save_model()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}
    assert not any(b"hf_xxx" in path.read_bytes() for path in files)
    assert json.loads((tmp_path / "checkpoint-4" / "training_args.json").read_text())["max_steps"] == 10


def test_a_checkpoint_is_described_file_by_file(tmp_path: Path) -> None:
    language(tmp_path, max_steps=4).train()
    folder = tmp_path / "checkpoint-4"
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {MANIFEST}
    assert {"trainable.safetensors", "optimizer.safetensors", "scheduler.json", "process-0.json"} < set(
        manifest["files"]
    )
    assert fault_in(folder) is None


def test_two_stay_where_one_was_asked_for(tmp_path: Path) -> None:
    language(tmp_path, save_steps=2, save_total_limit=1).train()
    assert [step_of(folder) for folder in list_checkpoints(tmp_path)] == [10, 8]


def test_true_means_the_newest_whole_one_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    language(tmp_path).train()
    leftover = begin_staged(tmp_path / "checkpoint-12")
    (tmp_path / "checkpoint-10" / "process-0.json").unlink()
    again = language(tmp_path)
    again.train(resume_from_checkpoint=True)
    assert [log["step"] for log in again.state.log_history if "loss" in log] == list(range(1, 11))
    assert again.state.global_step - again._initial_global_step == 2
    assert "checkpoint-10 is not complete (process-0.json is missing)" in caplog.text
    assert not leftover.exists()


def test_when_all_are_damaged_nothing_starts_again(tmp_path: Path) -> None:
    language(tmp_path).train()
    for folder in list_checkpoints(tmp_path):
        (folder / "scheduler.json").write_text("{}")
    again = language(tmp_path)
    with pytest.raises(OutputError, match=r"checkpoint-8 .*scheduler\.json.*; checkpoint-4 .*scheduler\.json"):
        again.train(resume_from_checkpoint=True)
    with pytest.raises(OutputError, match=r"scheduler\.json is damaged"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert again.state.global_step == 0


def test_another_number_of_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    language(tmp_path, max_steps=4).train()
    again = language(tmp_path)
    monkeypatch.setattr(type(again.args), "world_size", property(lambda _: 2))
    with pytest.raises(ModelError, match="written by 1 processes, and now 2 train"):
        again.checkpoint_to_resume(True)


def test_numbers_that_are_not_finite_are_never_published(tmp_path: Path) -> None:
    run = language(tmp_path, max_steps=4)
    run.train()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    next(iter(p for p in run.model.parameters() if p.requires_grad)).data[0] = float("nan")
    run.state.global_step = 5
    with pytest.raises(DivergedError, match=r"weights not finite \(.*lora.*the last good checkpoint is checkpoint-4"):
        run._save_checkpoint(run.model, None)
    with pytest.raises(DivergedError, match="weights not finite"):
        run.save_model(str(tmp_path / "final"))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-4"]


def test_an_optimizer_whose_state_needs_a_pickle_is_refused(tmp_path: Path) -> None:
    run = language(tmp_path, max_steps=4)
    run.train()
    shutil.rmtree(tmp_path / "checkpoint-4")
    parameter = next(iter(run.optimizer.state))
    run.optimizer.state[parameter]["history"] = {1, 2}
    with pytest.raises(ModelError, match=r"without a pickle: optimizer\.state\.0\.history is a set.*; use adamw_torch"):
        run._save_checkpoint(run.model, None)
    assert list(tmp_path.iterdir()) == []


def test_the_first_tensor_that_is_not_finite_is_named() -> None:
    good = [("a", torch.ones(2)), ("n", torch.ones(2, dtype=torch.int64)), ("e", torch.ones(0))]
    assert first_not_finite(good) is None
    assert (
        first_not_finite([*good, ("b", torch.tensor([1.0, float("-inf")])), ("c", torch.tensor(float("nan")))]) == "b"
    )
