"""What this machine offers a run: versions, devices, memory, disk, caches; no secret, and the home folder as ~."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from balora.cache import cache_folder

GIB = 1024**3
OFFLINE_FLAGS = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
SECRETS = ("HF_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY")
"""Only whether these are set is ever told."""


def environment() -> dict[str, Any]:
    """Everything `balora doctor` tells, as plain values; memory and disk in GiB."""
    packages, extras, problems = _packages()
    devices, device_problems = _devices()
    return {
        "balora": importlib.metadata.version("balora"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": packages,
        "extras": extras,
        "cpu": {"cores": _usable_cores(), "memory_gib": _memory_gib()},
        "devices": devices,
        "folders": {name: _folder(path) for name, path in _folders().items()},
        "offline": {name: os.environ.get(name, "") not in {"", "0", "false", "False"} for name in OFFLINE_FLAGS},
        "secrets_set": {name: bool(os.environ.get(name)) for name in SECRETS},
        "problems": problems + device_problems,
    }


def _packages() -> tuple[dict[str, str | None], dict[str, dict[str, str | None]], list[str]]:
    """Versions of what balora requires, of what its extras add, and what does not satisfy the requirement."""
    required: dict[str, str | None] = {}
    extras: dict[str, dict[str, str | None]] = {}
    problems: list[str] = []
    for line in importlib.metadata.requires("balora") or []:
        requirement = Requirement(line)
        version = _version(requirement.name)
        extra = re.search(r"extra == [\"'](\w+)[\"']", str(requirement.marker or ""))
        (extras.setdefault(extra[1], {}) if extra else required)[requirement.name] = version
        if version is None and not extra:
            problems.append(f"{requirement.name} is missing; install balora again")
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name} is {version}, balora needs {requirement.specifier}")
    return required, extras, problems


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> tuple[list[dict[str, Any]], list[str]]:
    """The accelerators that torch sees; a torch that cannot be loaded is a finding, not a failure."""
    try:
        import torch

        devices = []
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            bf16 = facts.major >= 8
            devices.append({"name": facts.name, "memory_gib": round(facts.total_memory / GIB, 1), "bf16": bf16})
        if torch.backends.mps.is_available():
            devices.append({"name": "Apple GPU (mps)", "memory_gib": _memory_gib(), "bf16": True})
    except (ImportError, OSError, RuntimeError) as error:
        return [], [f"torch does not work here ({str(error).splitlines()[0] if str(error) else type(error).__name__})"]
    return devices, []


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows which cores a process may use
        return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _folders() -> dict[str, Path]:
    home = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return {
        "here": Path.cwd(),
        "balora cache": cache_folder(),
        "hub cache": Path(os.environ.get("HF_HOME") or cache / "huggingface"),
    }


def _folder(path: Path) -> dict[str, Any]:
    """Where it is, whether it can be written, and the free space of its disk."""
    existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    shown = str(path).replace(str(Path.home()), "~", 1)
    free_gib = round(shutil.disk_usage(existing).free / GIB, 1)
    return {"path": shown, "free_gib": free_gib, "writable": os.access(existing, os.W_OK)}
