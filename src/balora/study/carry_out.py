"""One run of a study from its recipe to its scores, in whatever process an engine calls it."""

from __future__ import annotations

import math
import os
import shutil
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from balora.artefacts import holds_nothing_but_a_start, list_checkpoints, read_record, write_json_atomically
from balora.cache import uses
from balora.errors import BaloraError, OutputError, StoppedError
from balora.evaluation import is_score
from balora.recipe import Recipe, parse_recipe
from balora.run import RunResult, train
from balora.strict_json import read_json
from balora.study.jobs import Job, Outcome
from balora.study.measures import measured_scores
from balora.study.preparing import PreparedLab, make_lab
from balora.study.store import OUTCOME, send_done
from balora.study.trained import adopt_trained, note_trained, read_trained

LONGEST_WAIT_S = 120.0
"""For a process of an earlier launch that still holds the run folder."""


def carry_out(job: Job) -> Outcome:
    """Do a job and say how it ended; nothing but an interruption leaves as an exception.

    Raises:
        StoppedError: Ctrl-C or SIGTERM; a checkpoint has been written.
    """
    began = time.monotonic()
    torch.set_num_threads(int(job.details["threads"]))
    try:
        if job.kind == "prepare":
            for each in job.details["labs"]:
                make_lab(PreparedLab.from_json(each), Path(job.details["cache"]))
            return Outcome(job.identity, "done", seconds=time.monotonic() - began)
        return _run(job, began)
    except (StoppedError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        traceback.print_exc()
        return Outcome(job.identity, "failed", error=in_words(error), seconds=time.monotonic() - began)


def in_words(error: BaseException) -> str:
    """What a person should read of an exception."""
    text = str(error).strip()
    if isinstance(error, BaloraError):
        return text or type(error).__name__
    first = text.splitlines()[0][:300] if text else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _run(job: Job, began: float) -> Outcome:
    folder = Path(job.details["folder"])
    known = read_outcome(folder, job.identity)
    if known is not None:
        return known
    if job.details["lab"] is not None:  # on a node of its own, nobody has made it yet
        make_lab(PreparedLab.from_json(job.details["lab"]), Path(job.details["cache"]))
    recipe = parse_recipe(job.details["recipe"], origin=f"run {job.identity}")
    recipe = recipe.model_copy(update={"output": recipe.output.model_copy(update={"dir": folder})})
    before = uses()
    training = job.details["training"]
    trained = read_trained(folder, training)
    adopted = None if trained is not None or folder.exists() else adopt_trained(folder, training)
    trained = adopted if adopted is not None else trained
    if trained is None:
        trained = finite(_training_scores(_train(recipe, folder).metrics))
        note_trained(folder, training, trained)
    scores = {
        **trained,
        **measured_scores(folder, job.details["measures"], job.details["lab"]),
    }
    if not job.details["keep_checkpoints"]:
        for checkpoint in list_checkpoints(folder):
            shutil.rmtree(checkpoint, ignore_errors=True)
    outcome = Outcome(job.identity, "done", finite(scores), costs_of(folder), seconds=time.monotonic() - began)
    document = {"identity": job.identity, "scores": dict(outcome.scores), "costs": dict(outcome.costs)}
    shared = {**_used_since(before), **({"training": [1, 0]} if adopted is not None else {})}
    facts = {"seconds": round(outcome.seconds, 3), "shared": shared}
    write_json_atomically(folder / OUTCOME, {**document, **facts})
    if job.details["store"] is not None:
        send_done(job.details["store"], folder)
    return outcome


def _used_since(before: Mapping[str, tuple[int, int]]) -> dict[str, list[int]]:
    """Kind of shared work -> how often it was found and how often computed, since then."""
    now = {kind: (found, made, *before.get(kind, (0, 0))) for kind, (found, made) in uses().items()}
    return {kind: [found - f, made - m] for kind, (found, made, f, m) in now.items() if (found, made) != (f, m)}


def read_outcome(folder: Path, identity: str) -> Outcome | None:
    """How a run ended that is done; None where it is not."""
    try:
        found = read_json(folder / OUTCOME)
        if found["identity"] != identity:
            return None
        return Outcome(identity, "done", found["scores"], found["costs"], seconds=float(found["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _train(recipe: Recipe, folder: Path) -> RunResult:
    """Train, or go on where an earlier leg stopped; what cannot be continued is started again."""
    patience_ends = time.monotonic() + LONGEST_WAIT_S
    while True:
        fresh = not folder.is_dir() or not any(folder.iterdir()) or holds_nothing_but_a_start(folder)
        try:
            return train(recipe, resume=not fresh, show_progress=True)
        except OutputError as error:
            held = "another process is training" in str(error)
            if held and time.monotonic() < patience_ends:
                time.sleep(0.5)
            elif held or fresh:
                raise
            else:
                print(f"starting again: {error}", flush=True)  # noqa: T201 - the log of the run
                shutil.rmtree(folder)


def _training_scores(metrics: Mapping[str, float]) -> dict[str, float]:
    """Scores on the validation and the test split; what is told of training depends on how often it was interrupted."""
    return {name: value for name, value in metrics.items() if is_score(name)}


def costs_of(folder: Path) -> dict[str, float]:
    """Time, memory and size of a run, from its record."""
    record = read_record(folder)
    parameters = (record.get("model") or {}).get("parameters") or {}
    trainable = parameters["adapter"] + parameters["head"] if {"adapter", "head"} <= set(parameters) else None
    found = {
        "cost.train_s": record.get("train_seconds"),
        "cost.peak_cpu_gib": record.get("peak_cpu_gib"),
        "cost.peak_gpu_gib": record.get("peak_gpu_gib"),
        "cost.adapter_parameters": parameters.get("adapter"),
        "cost.trainable_parameters": trainable,
        "cost.total_parameters": parameters.get("total"),
    }
    return finite(found)


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers, by name."""
    return {
        name: float(value)
        for name, value in sorted(values.items())
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def environment(shared: Path, threads: int, gpu: str | None = None) -> dict[str, str]:
    """The variables of a process that carries out runs: its threads, its GPU, where runs keep what they share."""
    chosen = {
        "BALORA_CACHE": str(shared),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if "OMP_WAIT_POLICY" not in os.environ:
        chosen["GOMP_SPINCOUNT"] = "1000"
    return chosen if gpu is None else {**chosen, "CUDA_VISIBLE_DEVICES": gpu}
