"""Versions and machine of a run, compared with those that its checkpoint was written with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from balora.artefacts import RunRecord
from balora.errors import Problem
from balora.run.differences import then_and_now

DECIDE_BITS = ("balora", "torch", "transformers", "peft", "accelerate")
"""Packages that compute or order the numbers: with another version a run does not go on bit for bit."""
_MACHINE = ("processor", "threads", "gpus")


def changed_versions(before: Mapping[str, Any]) -> tuple[list[Problem], list[str]]:
    """What is another one than in the run's last leg.

    Args:
        before: the record of the legs so far.

    Returns:
        Versions that decide every bit, which refuse; one line for each of the rest, which is told: packages whose work
        the hashes of the data cover, processor, threads and GPUs, and the commit of balora's own checkout.
    """
    now = RunRecord.begin("")
    packages: Mapping[str, Any] = before.get("versions", {})
    changed = {
        name: then_and_now(packages[name], version)
        for name, version in now.versions.items()
        if name in packages and packages[name] != version
    }
    refused = [Problem(f"versions.{name}", said) for name, said in changed.items() if name in DECIDE_BITS]
    told = [f"versions.{name}: {said}" for name, said in changed.items() if name not in DECIDE_BITS]
    machine: Mapping[str, Any] = before.get("hardware", {})
    told += [
        f"hardware.{name}: {then_and_now(machine[name], now.hardware[name])}; the last bits may differ"
        for name in _MACHINE
        if name in machine and machine[name] != now.hardware[name]
    ]
    commit = before.get("source_commit")
    if commit is not None and commit != now.source_commit:
        told.append(f"source_commit: {then_and_now(commit, now.source_commit)}")
    return refused, told
