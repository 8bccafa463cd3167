"""`torchrun -m balora train`: two processes are one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from balora.recipe import dump_recipe
from balora.run import train
from tests.run.test_training import EXPECTED_FILES, recipe_for

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "balora"]


def written(folder: Path, batch: int, steps: int = 4) -> Path:
    """A recipe file; the rows of a step are `batch` for each process."""
    recipe = recipe_for(
        "generation",
        folder,
        training={
            "max_steps": steps,
            "per_device_train_batch_size": batch,
            "save_strategy": "steps",
            "save_steps": 2,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            "use_cpu": True,
        },
        regularizers={"spectral_k": 3, "spectral_group_sequences": 2},
        output={"dir": str(folder / "run")},
    )
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    return folder / "recipe.yaml"


def start(launcher: list[str], *words: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    return subprocess.Popen(
        [sys.executable, *launcher, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = process.communicate(timeout=300)
    return process.returncode, out, said


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of two processes, and what they printed."""
    folder = tmp_path_factory.mktemp("launched")
    code, out, said = finish(start(TORCHRUN, "train", str(written(folder, batch=2)), "--json"))
    assert code == 0, said[-3000:]
    (folder / "out.json").write_text(out)
    return folder


def test_one_folder_is_written_once_and_one_result_printed(launched: Path) -> None:
    document = json.loads((launched / "out.json").read_text())
    assert document["status"] == "finished"
    run = launched / "run"
    assert {path.name for path in run.iterdir()} >= EXPECTED_FILES
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], len(record["legs"])) == ("finished", 1)
    steps = [
        line["step"] for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in line
    ]
    assert steps == [1, 2, 3, 4]
    assert json.loads((run / "checkpoint-4" / "manifest.json").read_text())["processes"] == 2


def test_it_equals_one_process_with_the_same_rows_in_a_step(launched: Path, tmp_path: Path) -> None:
    written(tmp_path, batch=4)
    train(str(tmp_path / "recipe.yaml"), show_progress=False)
    one, two = (load_file(folder / "run" / "adapter_model.safetensors") for folder in (tmp_path, launched))
    assert one.keys() == two.keys()
    alone, together = (torch.cat([part[name].flatten() for name in sorted(one)]) for part in (one, two))
    assert ((alone - together).norm() / alone.norm()).item() < 1e-5
    logs = [
        json.loads((folder / "run" / "all_results.json").read_text())["eval_loss"] for folder in (tmp_path, launched)
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)


def test_a_bad_recipe_is_told_once(tmp_path: Path) -> None:
    recipe = written(tmp_path, batch=2)
    recipe.write_text(recipe.read_text().replace("train.jsonl", "nothing.jsonl", 1))
    code, out, said = finish(start(TORCHRUN, "train", str(recipe)))
    assert code != 0
    assert out == ""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "nothing.jsonl" in errors[0]
    assert "exitcode  : 2" in said
    assert not (tmp_path / "run").exists()


def test_stopped_by_a_signal_it_goes_on_where_it_was(launched: Path, tmp_path: Path) -> None:
    recipe = written(tmp_path, batch=2, steps=4000)
    process = start(TORCHRUN, "train", str(recipe))
    log, limit = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 200
    while not log.exists() and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    code, _, said = finish(process)
    assert code != 0
    assert "this is a bug in balora" not in said
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "interrupted", said[-2000:]
    newest = max((tmp_path / "run").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert json.loads((newest / "manifest.json").read_text())["processes"] == 2


def test_it_resumes_to_the_same_end(launched: Path, tmp_path: Path) -> None:
    run = launched / "run"
    expected = (run / "adapter_model.safetensors").read_bytes()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    (run / "adapter_model.safetensors").unlink()
    (run / "checkpoint-4").rename(tmp_path / "gone")
    code, _, said = finish(start(TORCHRUN, "train", str(launched / "recipe.yaml"), "--resume"))
    assert code == 0, said[-3000:]
    assert (run / "adapter_model.safetensors").read_bytes() == expected
    assert [leg["from_step"] for leg in json.loads((run / "run.json").read_text())["legs"]] == [0, 2]
