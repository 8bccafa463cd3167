"""Fixtures and rules for every test: no network, one thread per worker, fixed seeds."""

from __future__ import annotations

import gc
import os
import signal

# A shell lets what it starts in the background ignore Ctrl-C, nohup lets it ignore SIGHUP, and balora leaves it so; the
# tests send both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import hypothesis
import pytest
import torch
import transformers

# The suite draws the same examples each time; `pytest --hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _quiet_and_seeded() -> None:
    torch.set_num_threads(1)
    transformers.set_seed(0)
    return


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BALORA_CACHE", str(folder))
    return folder


def pytest_collection_finish() -> None:
    """Every `Trainer.train` collects garbage; what the imports left behind need not be looked at each time."""
    gc.collect()
    gc.freeze()
