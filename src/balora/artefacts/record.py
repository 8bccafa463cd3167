"""`run.json`: everything needed to know what a run was and to do it again."""

from __future__ import annotations

import os
import platform
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch

from balora.artefacts.files import write_json_atomically
from balora.artefacts.layout import RUN_RECORD
from balora.artefacts.record_check import checked_record
from balora.errors import Problem

RECORDED_PACKAGES = ("balora", "torch", "transformers", "peft", "accelerate", "datasets", "safetensors", "tokenizers")

Status = Literal["running", "finished", "interrupted", "diverged", "failed"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run; keys carry their units."""

    status: Status
    """How it stands: a record that says running after the process is gone was killed."""
    command: str
    """What started it."""
    started_at: str
    """UTC, ISO 8601; of the first leg."""
    versions: dict[str, str]
    """Python and packages; of the last leg, as hardware and commit are."""
    hardware: dict[str, Any]
    """Processor, cores, GPUs."""
    source_commit: str | None
    """Commit of balora's own checkout, where it runs from one."""
    model: dict[str, Any] = field(default_factory=dict)
    """Name, revision, commit and fingerprint of the base, parameter counts."""
    data: dict[str, Any] = field(default_factory=dict)
    """Per split: source, SHA-256, rows; the fingerprint of the encoded training split."""
    seeds: dict[str, int] = field(default_factory=dict)
    """Every seed by what it is for."""
    notes: list[str] = field(default_factory=list)
    """What the user was told at the start."""
    legs: list[dict[str, Any]] = field(default_factory=list)
    """One entry for each time the run was started or resumed: when, from which step, with which versions on what, for
    how long, how it ended, and, after `--resume-anyway`, every difference."""
    ended_at: str | None = None
    """UTC, ISO 8601."""
    train_seconds: float | None = None
    """Wall time of the training loop, over all legs whose end was recorded."""
    peak_cpu_gib: float | None = None
    """Peak resident memory while training; the highest of all legs."""
    peak_gpu_gib: float | None = None
    """Peak of the CUDA allocator while training; the highest of all legs."""
    results: dict[str, float] = field(default_factory=dict)
    """Final scores."""
    failure: str | None = None
    """Why it ended early."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name, size and SHA-256 of what a finished run hands out."""

    @classmethod
    def begin(cls, command: str, *, earlier: Mapping[str, Any] | None = None, from_step: int = 0) -> Self:
        """A record of a run that starts or goes on now on this machine.

        Args:
            command: what started it.
            earlier: the record of the legs so far, from `read_record`; none for a new run.
            from_step: the step of the checkpoint that it goes on from.
        """
        before, now = earlier or {}, _now()
        versions, hardware = {"python": platform.python_version(), **_package_versions()}, describe_hardware()
        legs, commit = [dict(leg) for leg in before.get("legs", [])], source_commit()
        if legs and "versions" in before:  # a record of before each leg had its own
            facts = {name: before[name] for name in ("versions", "hardware", "source_commit") if name in before}
            legs[-1] = {**facts, **legs[-1]}
        leg = {"started_at": now, "from_step": from_step, "command": command}
        leg |= {"versions": versions, "hardware": hardware, "source_commit": commit}
        return cls(
            status="running",
            command=str(before.get("command", command)),
            started_at=str(before.get("started_at", now)),
            versions=versions,
            hardware=hardware,
            source_commit=commit,
            legs=[*legs, leg],
            train_seconds=before.get("train_seconds"),
            peak_cpu_gib=before.get("peak_cpu_gib"),
            peak_gpu_gib=before.get("peak_gpu_gib"),
        )

    def ended(
        self,
        status: str,
        *,
        train_seconds: float | None = None,
        peak_cpu_gib: float | None = None,
        peak_gpu_gib: float | None = None,
        **facts: Any,
    ) -> Self:
        """The record with its end and further facts filled in; seconds and peaks are those of this leg."""
        now = _now()
        leg = {**self.legs[-1], "ended_at": now, "status": status, "train_seconds": train_seconds}
        seconds = [each for each in (self.train_seconds, train_seconds) if each is not None]
        return replace(
            self,
            status=cast("Status", status),
            ended_at=now,
            legs=[*self.legs[:-1], leg],
            train_seconds=sum(seconds) if seconds else None,
            peak_cpu_gib=_higher(self.peak_cpu_gib, peak_cpu_gib),
            peak_gpu_gib=_higher(self.peak_gpu_gib, peak_gpu_gib),
            **facts,
        )

    def changed(self, differences: Iterable[Problem]) -> None:
        """Note in the leg what it goes on with in spite of; both values of each."""
        found = [{"where": each.where, "what": each.what} for each in differences]
        if found:
            self.legs[-1]["differences"] = found

    def saved(self, step: int, folder: Path) -> None:
        """Note in the leg, and in run.json, that a checkpoint was written: that one is missing later can then be told.

        Called once the checkpoint stands. A process that is killed in between leaves one that nobody has to be told of.
        """
        self.legs[-1]["saved_step"] = step
        self.write(folder)

    def write(self, folder: Path) -> None:
        """Write run.json into the run folder."""
        write_json_atomically(folder / RUN_RECORD, asdict(self))


def read_record(folder: Path) -> dict[str, Any]:
    """The record in a run folder as it stands; empty where there is none with the shape of one."""
    return checked_record(folder)[0]


def saved_step(record: Mapping[str, Any], *, last_leg: bool = False) -> int:
    """The newest step of which a record knows a checkpoint; 0 where it knows none.

    >>> saved_step({"legs": [{"from_step": 0, "saved_step": 20}, {"from_step": 20}]})
    20

    Args:
        record: from `read_record`.
        last_leg: look at what the last leg wrote alone.
    """
    legs = record.get("legs", [])
    if last_leg:
        return int(legs[-1].get("saved_step", 0)) if legs else 0
    return max((int(leg.get(key, 0)) for leg in legs for key in ("from_step", "saved_step")), default=0)


def describe_hardware() -> dict[str, Any]:
    """The machine in words: processor, cores that torch uses, GPUs with their memory in GiB."""
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "processor": _processor_name(),
        "threads": torch.get_num_threads(),
        "gpus": [{"name": gpu.name, "memory_gib": round(gpu.total_memory / (1 << 30), 1)} for gpu in gpus],
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _package_versions() -> dict[str, str]:
    found = {}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def source_commit(package: Path | None = None) -> str | None:
    """The commit of balora's own checkout, where balora runs from one; None for an installed package.

    An environment inside somebody else's repository is no checkout of balora.

    Args:
        package: the folder of the package; left out, the one that runs.
    """
    here = (package or Path(__file__).parents[1]).resolve()
    root = here.parents[1]
    if here != root / "src" / "balora" or not (root / ".git").exists():
        return None
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, env=outside)
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if project == "balora" else None


def _higher(one: float | None, other: float | None) -> float | None:
    found = [each for each in (one, other) if each is not None]
    return max(found) if found else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
