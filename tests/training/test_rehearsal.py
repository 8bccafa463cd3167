"""Optimizer and schedule are tried on a small layer; what cannot work is named, what can is left alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from balora.errors import InputError
from balora.training.arguments import build_training_arguments, resolve_training_arguments
from balora.training.rehearsal import rehearse


def try_out(folder: Path, **training: Any) -> None:
    resolved = resolve_training_arguments(training)
    rehearse(build_training_arguments(resolved, output_dir=folder, has_validation=True))


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_type"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "lr_scheduler_type"),
        ({"lr_scheduler_kwargs": {"foo": 1}}, "lr_scheduler_kwargs"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": "x"}}, "lr_scheduler_kwargs"),
        ({"optim_args": "foo"}, "optim_args"),
        ({"optim": "galore_adamw"}, "optim"),
    ],
)
def test_what_would_fail_after_loading_is_named(training: dict[str, Any], key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        try_out(tmp_path / "run", **training)
    assert caught.value.problems[0].where == f"training.{key}"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["paged_adamw_8bit", "adamw_torch_8bit"])
def test_an_optimizer_whose_package_is_missing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [module for module in sys.modules if module.split(".")[0] in ("bitsandbytes", "torchao")]
    for module in {"bitsandbytes", "torchao", *missing}:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"training.optim: '{name}' cannot be used"):
        try_out(tmp_path, optim=name)


def test_kernels_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.training.rehearsal.is_liger_kernel_available", lambda: False)
    with pytest.raises(InputError, match=r"training.use_liger_kernel.*not installed"):
        try_out(tmp_path, use_liger_kernel=True)


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optim": "adafactor"},
        {"optim": "sgd", "lr_scheduler_type": "constant"},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 2}},
        {"lr_scheduler_type": "polynomial", "warmup_steps": 500},
        {"lr_scheduler_type": "reduce_lr_on_plateau", "metric_for_best_model": "loss"},
    ],
)
def test_what_works_passes_and_draws_nothing_from_the_global_generator(
    training: dict[str, Any], tmp_path: Path
) -> None:
    before = torch.get_rng_state()
    try_out(tmp_path, **training)
    assert torch.equal(torch.get_rng_state(), before)
