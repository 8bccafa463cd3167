"""FSDP2 with two processes on the CPU: the same steps as one process, and plain checkpoints that resume exactly.

accelerate takes FSDP for accelerators only; the processes of this test tell it that they have some. Everything else is
the code that runs on GPUs, over gloo.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from balora.adapters import AdapterConfig
from balora.artefacts.checkpoints import fault_of
from balora.artefacts.manifest import MANIFEST, read_manifest
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny

ROOT = Path(__file__).parents[2]
LAYERS = {"llama": "LlamaDecoderLayer", "roberta": "RobertaLayer"}
RESUMED = ["language", "classes", "everything"]
STILL = "language, still"


def trainer(case: str, folder: Path, batch: int, **changes: Any) -> BALoraTrainer:
    """Six steps, with dropout; `language, still` is without, to be compared with one process."""
    classes = case == "classes"
    family = "roberta" if classes else "llama"
    still = case == STILL
    model = (
        tiny.build("roberta", "sequence_classification", num_labels=3, hidden_dropout_prob=0.1)
        if classes
        else tiny.build("llama", tie_word_embeddings=False, attention_dropout=0.0 if still else 0.1)
    )
    config = AdapterConfig(method="full") if case == "everything" else AdapterConfig(r=4, dropout=0.0 if still else 0.1)
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "max_steps": 6, **changes}
    if batch == 2:
        wrapped = {"version": 2, "transformer_layer_cls_to_wrap": [LAYERS[family]]}
        options |= {"fsdp": True, "fsdp_config": wrapped}
    arguments = rows.arguments(folder, per_device_train_batch_size=batch, **options)
    if batch == 2:
        from accelerate.state import PartialState
        from accelerate.utils import DistributedType

        assert arguments.world_size == 2
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    return BALoraTrainer(
        model=prepare_model(model, config, task="classification" if classes else "generation"),
        args=arguments,
        config=BALoraConfig.nlu() if classes else BALoraConfig.nlg(spectral_k=3, spectral_group_sequences=2),
        train_dataset=rows.classified_rows() if classes else rows.language_rows(),
        data_collator=rows.collator("classification" if classes else "generation"),
    )


def work(folder: Path, cases: list[str]) -> None:
    for case in cases:
        whole = trainer(case, folder / case / "whole", 2)
        whole.train()
        assert whole.is_fsdp_enabled
        spread = {name for name, p in whole.model.named_parameters() if type(p).__name__ == "DTensor"}
        assert spread, "nothing is spread over the processes"
        whole.save_model(str(folder / case / "end"))
        again = trainer(case, folder / case / "resumed", 2)
        again.train(resume_from_checkpoint=str(folder / case / "whole" / "checkpoint-3"))
    trainer(STILL, folder / "still", 2).train()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind."""
    folder = tmp_path_factory.mktemp("fsdp")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [*launcher, "-m", "tests.training.test_fsdp", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_two_processes_take_the_steps_of_one(two: Path, tmp_path: Path) -> None:
    trainer(STILL, tmp_path / "alone", 4).train()
    together, alone = two / "still", tmp_path / "alone"
    state = load_file(alone / "checkpoint-6" / "trainable.safetensors")
    found = load_file(together / "checkpoint-6" / "trainable.safetensors")
    assert found.keys() == state.keys()
    one, other = (torch.cat([part[name].flatten() for name in sorted(state)]) for part in (state, found))
    assert ((one - other).norm() / one.norm()).item() < 1e-5


@pytest.mark.parametrize("case", RESUMED)
def test_a_resumed_run_ends_where_the_whole_one_ends(two: Path, case: str) -> None:
    weights = "model.safetensors" if case == "everything" else "trainable.safetensors"
    whole, resumed = (two / case / kind / "checkpoint-6" for kind in ("whole", "resumed"))
    for name in (weights, "optimizer.safetensors", "optimizer.json", "scheduler.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name
    logs = [json.loads((folder / "trainer_state.json").read_text())["log_history"] for folder in (whole, resumed)]
    seen = [[{k: v for k, v in line.items() if "seconds" not in k} for line in log] for log in logs]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("case", RESUMED)
@pytest.mark.parametrize("step", [3, 6])
def test_checkpoints_are_plain_and_whole(two: Path, case: str, step: int) -> None:
    folder = two / case / "whole" / f"checkpoint-{step}"
    assert fault_of(folder) is None
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.processes, manifest.sharded) == (2, False)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {str(file.relative_to(folder)) for file in files} == {*manifest.files, MANIFEST}
    for file in files:
        assert file.suffix in (".json", ".safetensors", ".md"), file
        assert file.read_bytes()[:2] not in (b"PK", b"\x80\x02", b"\x80\x04"), file
    sizes = {name: list(value.shape) for name, value in load_file(folder / "optimizer.safetensors").items()}
    assert sizes, "the optimizer's state is not there"


def test_what_is_saved_at_the_end_is_the_adapter_alone_and_whole(two: Path) -> None:
    end, last = two / "language" / "end", two / "language" / "whole" / "checkpoint-6"
    saved, kept = (load_file(folder / "adapter_model.safetensors") for folder in (end, last))
    assert saved.keys() == kept.keys()
    assert all("lora_" in name for name in saved)
    for name, value in saved.items():
        torch.testing.assert_close(value, kept[name])
        assert 8 in value.shape, name


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2:] or RESUMED)
