from __future__ import annotations

import re

import pytest

from balora.cli.failures import failure_of

ADVICE = {
    "train": "training.per_device_train_batch_size",
    "evaluate": "batch_size=1",
    "audit": "--max-rows",
    "plan": "end other programs",
}


@pytest.mark.parametrize(("command", "advice"), ADVICE.items())
def test_out_of_memory_has_numbers_and_advises_what_the_command_can_be_told(command: str, advice: str) -> None:
    failure = failure_of(MemoryError(), command)
    assert failure.exit_code == 4
    assert re.search(r"it holds \d+ MiB, \d+ MiB more are free", failure.lines[0])
    assert advice in failure.lines[0]
    assert ("training." in failure.lines[0]) == (command == "train")


@pytest.mark.parametrize("command", ["train", "evaluate", "audit", "study"])
def test_a_full_disk_advises_what_the_command_can_be_told(command: str) -> None:
    failure = failure_of(OSError(28, "No space left on device"), command)
    assert failure.exit_code == 4
    assert ("--resume" in failure.lines[0]) == ("output.dir" in failure.lines[0]) == (command == "train")
    assert ("--out" in failure.lines[0]) == (command in ("evaluate", "audit"))


def test_a_limit_on_file_sizes_is_no_bug_of_ours() -> None:
    failure = failure_of(OSError(27, "File too large"), "evaluate")
    assert failure.exit_code == 4
    assert "ulimit -f" in failure.lines[0]
