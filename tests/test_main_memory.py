from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from balora.errors import is_out_of_memory
from balora.main_memory import address_space_limit, came_to_its_limit, free_main_memory, memory_in_words, resident_bytes

MIB = 1 << 20


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
        type("SafetensorError", (Exception,), {})("Cannot allocate memory (os error 12)"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=str,
)
def test_libraries_say_out_of_memory_in_many_words(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_without_a_limit_nothing_is_put_down_to_it() -> None:
    if address_space_limit() is None:
        assert not came_to_its_limit(ImportError("failed to map segment from shared object"))
        assert "ulimit" not in memory_in_words()


UNDER_A_LIMIT = """
import mmap, resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from balora.main_memory import *
print(free_main_memory() < 1 << 30, came_to_its_limit(SystemError("odd")), "1024 MiB (ulimit -v)" in memory_in_words())
held = mmap.mmap(-1, free_main_memory() - (32 << 20))
left = free_main_memory()
held.close()
print(left <= 32 << 20, came_to_its_limit(SystemError("odd")), free_main_memory() > 500 << 20)
"""


def test_a_limit_on_addresses_counts_and_having_come_to_it_is_remembered() -> None:
    found = subprocess.run([sys.executable, "-c", UNDER_A_LIMIT], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False", "True", "True", "True", "True"]


def test_what_is_held_and_free_is_told() -> None:
    assert resident_bytes() > 10 * MIB
    assert free_main_memory() > 0


@pytest.mark.parametrize("limit_mib", [300, 700])
def test_a_command_that_gets_no_memory_ends_with_code_4_and_numbers(limit_mib: int, tmp_path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit_mib * MIB, limit_mib * MIB))

    (tmp_path / "r.yaml").write_text("task: classification\nmodel: {name_or_path: base}\ndata: {train: a.csv}\n")
    command = [sys.executable, "-m", "balora", "train", "r.yaml"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert ended.returncode == 4, ended.stderr
    assert "out of memory" in ended.stderr
    assert "bug in balora" not in ended.stderr
