"""`run.json`: everything needed to know what a run was and to do it again."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch

from balora.artefacts.files import write_json_atomically
from balora.artefacts.layout import RUN_RECORD

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
    """UTC, ISO 8601."""
    versions: dict[str, str]
    """Python and packages."""
    hardware: dict[str, Any]
    """Processor, cores, GPUs."""
    source_commit: str | None
    """Commit of balora's own checkout, where it runs from one."""
    model: dict[str, Any] = field(default_factory=dict)
    """Name, revision and commit of the base, parameter counts."""
    data: dict[str, Any] = field(default_factory=dict)
    """Per split: source, SHA-256, rows; the fingerprint of the encoded training split."""
    seeds: dict[str, int] = field(default_factory=dict)
    """Every seed by what it is for."""
    notes: list[str] = field(default_factory=list)
    """What the user was told at the start."""
    ended_at: str | None = None
    """UTC, ISO 8601."""
    train_seconds: float | None = None
    """Wall time of the training loop."""
    peak_cpu_gib: float | None = None
    """Peak resident memory while training."""
    peak_gpu_gib: float | None = None
    """Peak of the CUDA allocator while training."""
    results: dict[str, float] = field(default_factory=dict)
    """Final scores."""
    failure: str | None = None
    """Why it ended early."""

    @classmethod
    def begin(cls, command: str) -> Self:
        """A record of a run that starts now on this machine."""
        return cls(
            status="running",
            command=command,
            started_at=_now(),
            versions={"python": platform.python_version(), **_package_versions()},
            hardware=describe_hardware(),
            source_commit=_source_commit(),
        )

    def ended(self, status: str, **facts: Any) -> Self:
        """The record with its end and further facts filled in."""
        return replace(self, status=cast("Status", status), ended_at=_now(), **facts)

    def write(self, folder: Path) -> None:
        """Write run.json into the run folder."""
        write_json_atomically(folder / RUN_RECORD, asdict(self))


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


def _source_commit() -> str | None:
    """The commit of the checkout this file lies in; None for an installed package."""
    here = Path(__file__).resolve()
    root = next((parent for parent in here.parents if (parent / ".git").exists()), None)
    if root is None:
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
