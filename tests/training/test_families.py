"""The matrix method x family x task: every cell trains, resumes and exports, or says why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from balora.adapters import METHODS, AdapterConfig, Calibration, adapters_off, load_bottlenecks
from balora.adapters.limits import limit_of
from balora.adapters.state import trainable_state
from balora.errors import ModelError
from balora.losses import TERMS
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.adapters.families import LATER_METHODS, logits
from tests.support import rows
from tests.support.families import CELLS, USUAL, Cell

WEIGHTS = {"consistency_weight": 0.3, "diversity_weight": 0.2, "spectral_weight": 0.1}
CONSTANT = {f"{term}_schedule": "constant" for term in TERMS}
WHOLE_CYCLE = ("lora", "pissa")
BOTTLENECKS = ("houlsby", "pfeiffer")

pytestmark = pytest.mark.filterwarnings("ignore::balora.training.BaloraWarning")


def prepared(cell: Cell, method: str) -> Any:
    config = AdapterConfig(method=method, r=2, alpha=3, **LATER_METHODS.get(method, {}))
    sample = Calibration(cell.rows().to_list(), cell.collator()) if METHODS[method].calibrated else None
    return prepare_model(cell.build(), config, task=cell.task, calibration=sample)


def trainer(cell: Cell, model: Any, folder: Path, **changes: Any) -> BALoraTrainer:
    data = cell.rows()
    return BALoraTrainer(
        model=model,
        args=rows.arguments(folder, **changes),
        config=BALoraConfig(form=cell.form, **WEIGHTS, **CONSTANT),  # type: ignore[arg-type]
        train_dataset=data,
        eval_dataset=data,
        data_collator=cell.collator(),
    )


def losses(run: BALoraTrainer) -> list[float]:
    return [log["loss"] for log in run.state.log_history if "loss" in log]


def loaded_elsewhere(cell: Cell, folder: Path, method: str) -> Any:
    """What someone without balora gets from the saved files; only balora reads bottlenecks."""
    base = cell.build()
    if METHODS[method].low_rank or method == "bitfit":
        return peft.PeftModel.from_pretrained(base, folder)
    if method in BOTTLENECKS:
        return load_bottlenecks(base, folder)
    return type(base).from_pretrained(folder)


def check_start(cell: Cell, model: Any, *, off: bool) -> None:
    inputs, base = cell.inputs(), cell.build()
    truth = logits(base, inputs)
    torch.testing.assert_close(logits(model, inputs), truth, rtol=0, atol=2e-5)
    if off:
        with adapters_off(model):
            assert torch.equal(logits(model, inputs), truth)


def check_trained_and_exported(cell: Cell, run: BALoraTrainer, folder: Path, method: str) -> None:
    found = losses(run)
    assert len(set(found)) == len(found) > 1
    assert all(value == value and abs(value) < 1e3 for value in found)
    inputs = cell.inputs()
    trained = logits(run.model, inputs)
    assert (trained - logits(cell.build(), inputs)).abs().max() > 3e-5
    run.save_model(str(folder / "export"))
    exported = loaded_elsewhere(cell, folder / "export", method)
    torch.testing.assert_close(logits(exported, inputs), trained, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_pissa_and_lora_can_do_everything(cell: Cell) -> None:
    assert [limit_of(method, cell.build()) for method in WHOLE_CYCLE] == [None, None]


@pytest.mark.parametrize("method", WHOLE_CYCLE)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell_trains_resumes_and_exports(cell: Cell, method: str, tmp_path: Path) -> None:
    model = prepared(cell, method)
    check_start(cell, model, off=True)
    run = trainer(cell, model, tmp_path, max_steps=4, save_strategy="steps", save_steps=2)
    run.train()
    check_trained_and_exported(cell, run, tmp_path, method)
    assert run.evaluate()["eval_loss"] > 0
    resumed = trainer(cell, prepared(cell, method), tmp_path / "resumed", max_steps=4)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    whole, again = trainable_state(run.model), trainable_state(resumed.model)
    assert whole.keys() == again.keys()
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []


@pytest.mark.parametrize("method", [name for name in METHODS if name not in WHOLE_CYCLE])
@pytest.mark.parametrize("cell", USUAL, ids=str)
def test_every_other_method_trains_and_exports_or_says_why_not(cell: Cell, method: str, tmp_path: Path) -> None:
    if limit_of(method, cell.build()) is not None:
        with pytest.raises(ModelError, match=r"adapter\.method: .*; use .*lora"):
            prepared(cell, method)
        return
    model = prepared(cell, method)
    check_start(cell, model, off=METHODS[method].keeps_base)
    run = trainer(cell, model, tmp_path, max_steps=2)
    run.train()
    check_trained_and_exported(cell, run, tmp_path, method)
