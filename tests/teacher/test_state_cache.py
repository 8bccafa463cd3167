"""Teacher states on disk: what goes in comes out, is found again, and never fills a disk by surprise."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from balora.errors import ModelError
from balora.teacher.state_cache import StateCache, StatePlan


def plan(folder: Path, dtype: torch.dtype = torch.float32) -> StatePlan:
    return StatePlan(folder / "deep" / "key.states", (3, 0, 2, 4), 5, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_come_back_in_any_order_and_in_another_process_s_hands(dtype: torch.dtype, tmp_path: Path) -> None:
    cache = StateCache(plan(tmp_path, dtype))
    states = torch.randn(9, 5).to(dtype)
    by_row = dict(zip(range(4), states.split([3, 0, 2, 4]), strict=True))
    cache.write(torch.tensor([2, 0]), torch.cat([by_row[2], by_row[0]]))
    assert cache.holds(torch.tensor([0, 2]))
    assert not cache.holds(torch.tensor([0, 3]))
    again = StateCache(plan(tmp_path, dtype))
    assert torch.equal(again.read(torch.tensor([0, 2])), torch.cat([by_row[0], by_row[2]]))
    again.write(torch.tensor([1, 3]), by_row[3])
    assert cache.holds(torch.arange(4)), "both look at the same file"
    assert torch.equal(cache.read(torch.arange(4)), states)


def test_the_size_is_known_before_anything_is_written(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    assert "0.00 GiB" in planned.announcement()
    assert "will be written" in planned.announcement()
    assert not list(tmp_path.iterdir())
    StateCache(planned)
    assert planned.path.stat().st_size == planned.size_bytes == 9 * 5 * 4
    assert "will be used" in planned.announcement()


def test_states_of_other_data_are_refused(tmp_path: Path) -> None:
    cache = StateCache(plan(tmp_path))
    with pytest.raises(ValueError, match="4 states for examples with 3 tokens"):
        cache.write(torch.tensor([0]), torch.zeros(4, 5))


def test_a_full_disk_and_a_file_in_the_way_are_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ModelError, match="teacher_cache_dir"):
        StateCache(StatePlan(tmp_path / "taken" / "key.states", (1,), 2, torch.float32))
    usage: Any = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr("balora.teacher.state_cache.shutil.disk_usage", lambda _path: usage)
    with pytest.raises(ModelError, match="are free"):
        StateCache(plan(tmp_path))
    assert not (tmp_path / "deep" / "key.states").exists()
