"""What a machine has free."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from balora.main_memory import free_main_memory
from balora.run.resources.machine import look_at_machine


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("max", "5", 1000 * 1024), ("2000000", "5", 1000 * 1024), ("500000", "100000", 400_000), ("100", "500", 0)],
    ids=["none", "above", "below", "used up"],
)
def test_a_containers_limit_counts(limit: str, used: str, expected: int, tmp_path: Path) -> None:
    files = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 1000 kB\n"}
    files |= {"sys/fs/cgroup/memory.max": limit, "sys/fs/cgroup/memory.current": used}
    assert free_main_memory(write(tmp_path, files)) == expected


def test_speeds_are_positive_and_the_disk_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    found = look_at_machine(torch.device("cpu"), tmp_path / "not" / "there", rows=8, width=16)
    assert min(found.flops_per_s, found.bytes_per_s, found.launch_s, found.free_disk_bytes) > 0
    assert found.device == "CPU"
    assert not list(tmp_path.iterdir())
