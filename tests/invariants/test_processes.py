"""One process equals two: the same steps on the same rows, half of them on each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from balora.adapters import AdapterConfig
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny

ROOT = Path(__file__).parents[2]
WEIGHTS = {"consistency_weight": 0.3, "diversity_weight": 0.2, "spectral_weight": 0.1}
SCHEDULES = {f"{term}_schedule": "constant" for term in ("consistency", "diversity", "spectral")}
ADAPTERS = {
    "language": AdapterConfig(r=4),
    "language, trained head": AdapterConfig(r=4, modules_to_save=["lm_head"]),
    "language, everything": AdapterConfig(method="full"),
}


def run_all(folder: Path, batch: int) -> dict[str, Any]:
    """Loss, terms and gradient norm of four steps of every case."""
    found = {}
    for number, (case, adapter) in enumerate(ADAPTERS.items()):
        run = BALoraTrainer(
            model=prepare_model(tiny.build("llama", tie_word_embeddings=False), adapter),
            args=rows.arguments(
                folder / str(number), max_steps=4, per_device_train_batch_size=batch, gradient_accumulation_steps=2
            ),
            config=BALoraConfig.nlg(**WEIGHTS, **SCHEDULES, spectral_k=3, spectral_group_sequences=2),
            train_dataset=rows.language_rows(),
            data_collator=rows.collator("generation"),
        )
        assert run.fused is not None
        run.train()
        names = ("loss", "task_loss", "consistency", "diversity", "spectral", "grad_norm", "valid_tokens")
        found[case] = [[log[name] for name in names] for log in run.state.log_history if "loss" in log]
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes logged."""
    folder = tmp_path_factory.mktemp("two")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [*launcher, "-m", "tests.invariants.test_processes", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process logged, with batches twice as large."""
    return run_all(tmp_path_factory.mktemp("one"), batch=4)


@pytest.mark.parametrize("case", ADAPTERS)
def test_two_processes_take_the_steps_of_one(case: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    alone, together = torch.tensor(one[case]), torch.tensor(two[case])
    assert alone.shape == (4, 7)
    torch.testing.assert_close(together, alone, rtol=2e-4, atol=1e-5)


if __name__ == "__main__":
    results = run_all(Path(sys.argv[1]), batch=2)
    if int(os.environ["RANK"]) == 0:
        (Path(sys.argv[1]) / "found.json").write_text(json.dumps(results))
