"""The pretrained model of a world, built once and then taken from balora's cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from balora.cache import cache_folder, publish_folder
from balora.errors import OutputError, ResourceError, is_full_disk
from balora.lab.corpus import Corpus, write_corpus
from balora.lab.pretraining import OnStep, PretrainingSettings, pretrain
from balora.lab.vocabulary import build_tokenizer, vocabulary
from balora.lab.world import World
from balora.strict_json import read_json

RECORD_NAME = "pretraining.json"
"""What was built, and the hash of every file beside it; a folder without a true record counts as damaged."""

LEFTOVER_AGE_S = 24 * 3600
"""A temporary folder untouched for so long belongs to nobody: pre-training takes minutes."""

FORMAT = 1
"""Raised whenever the same settings would give another model."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A transformers folder with model and tokenizer, and how it came about."""

    folder: Path
    pretraining_s: float
    """Wall time of the pre-training, whenever it was."""
    from_cache: bool


def base_model(
    world: World,
    settings: PretrainingSettings,
    *,
    cache: Path | None = None,
    on_step: OnStep | None = None,
) -> BaseModel:
    """The model pre-trained on the world's corpus, from the cache or made now.

    The folder's name is a hash of the corpus and of every setting. It appears complete or not at all; one that is
    damaged is made anew.

    Args:
        world: what the corpus is about.
        settings: shape and length of the pre-training.
        cache: folder to keep it in; left out, `lab` in balora's cache.
        on_step: called after every step of a pre-training; never when the model comes from the cache.

    Raises:
        OutputError: when the cache cannot be written.
        ResourceError: when the disk is full.
    """
    root = cache_folder() / "lab" if cache is None else cache
    corpus, tokenizer = write_corpus(world), build_tokenizer(world)
    folder = root / content_hash(world, corpus, settings)
    record = read_record(folder)
    if record is not None:
        return BaseModel(folder, float(record["pretraining_s"]), from_cache=True)
    with _staging(root, folder.name) as staged:
        started = time.perf_counter()
        model = pretrain([sentence.text for sentence in corpus.train], tokenizer, settings, on_step=on_step)
        seconds = round(time.perf_counter() - started, 3)
        with _disk_faults_as_errors(root):
            model.save_pretrained(staged)
            tokenizer.save_pretrained(staged)
            _write_record(staged, world, settings, seconds)
            for path in staged.iterdir():
                path.chmod(0o644)  # safetensors writes for the owner alone; a cache may be shared
            publish_folder(staged, folder, lambda there: read_record(there) is not None)
    return BaseModel(folder, seconds, from_cache=False)


def content_hash(world: World, corpus: Corpus, settings: PretrainingSettings) -> str:
    """32 hexadecimal digits that differ when the world, its sentences, its words or the pre-training do."""
    content = {
        "format": FORMAT,
        "world": world.settings.model_dump(mode="json"),
        "sentences": [sentence.text for sentence in corpus.train],
        "vocabulary": vocabulary(world),
        "pretraining": settings.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a cached model; None when it is missing, or any file is not what the record says."""
    try:
        record: dict[str, Any] = read_json(folder / RECORD_NAME)
        intact = bool(record["files"]) and record["files"] == _hashes(folder) and record["pretraining_s"] >= 0
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if intact else None


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD_NAME)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _write_record(folder: Path, world: World, settings: PretrainingSettings, seconds: float) -> None:
    record = {
        "world": world.settings.model_dump(mode="json"),
        "pretraining": settings.model_dump(mode="json"),
        "pretraining_s": seconds,
        "files": _hashes(folder),
    }
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _staging(root: Path, name: str) -> Iterator[Path]:
    """A temporary folder beside the final one, gone afterwards whatever happens."""
    with _disk_faults_as_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(root)
        staged = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Remove the temporary folders of processes that were killed long ago."""
    for path in root.glob(".*-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(path)


_ROOM = "free some space, or point BALORA_CACHE elsewhere"


@contextmanager
def _disk_faults_as_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        # safetensors wraps the system's error in words of its own.
        raise ResourceError(f"{root}: {error}; {_ROOM}") from error
    except OSError as error:
        if is_full_disk(error):
            raise ResourceError(f"{root}: the disk is full; {_ROOM}") from error
        what = f"the cache cannot be written ({error.strerror or error})"
        raise OutputError.at(root, what, "set BALORA_CACHE to a folder that can") from error
