"""R26: versions with known holes cannot be installed beside balora."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(os.environ.get("FAULTS_PROJECT") or Path(__file__).resolve().parents[3])
FLOORS = {
    "torch": ("2.10", "reading weights could corrupt memory before (CVE-2026-24747) and run code before 2.6"),
    "transformers": ("5.3", "a field of a configuration could run remote code before (CVE-2026-4372)"),
    "jinja2": ("3.1.6", "templates could leave the sandbox before"),
    "safetensors": ("0.5", "the reader of headers as it is now"),
}


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {each.name.lower(): each for each in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize("name", FLOORS)
def test_the_version_before_the_repair_is_refused(name: str) -> None:
    floor, why = FLOORS[name]
    specifier = requirements()[name].specifier
    first, *rest = floor.split(".")
    before = ".".join([first, *rest[:-1], str(int(rest[-1]) - 1)]) + ".99"
    assert not specifier.contains(before), f"{name} {before} is allowed; {why}"
    assert specifier.contains(version(name)), "what is installed here"


@pytest.mark.parametrize("name", FLOORS)
def test_the_pinned_version_is_not_below_the_floor(name: str) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0].strip().lower(): line.partition("==")[2].strip() for line in lines if "==" in line}
    assert requirements()[name].specifier.contains(pins[name].partition("+")[0])
